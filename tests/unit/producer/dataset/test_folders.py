import itertools
import os
from pathlib import Path
from unittest.mock import Mock, create_autospec

import pytest

from producer.base.errors import CommandError, UsageError
from producer.dataset.entry import Entry, Refused
from producer.dataset.open import entries_after, open_dataset
from tests.unit.producer.tree import ENOUGH, JPEG, MADE, OLD_ID, ids, only_entries, posts, put


@pytest.fixture
def instacities(tmp_path: Path) -> Path:
    root = tmp_path / "InstaCities1M"
    images, captions = root / "img_resized_1M/cities_instagram", root / "captions_resized_1M/cities_instagram"
    put(images / "london" / f"{OLD_ID}.jpg", JPEG + b"1")
    put(captions / "london" / f"{OLD_ID}.txt", "the bridge\nat night 🌉\n")
    put(images / "chicago" / "20.jpg")
    put(images / "chicago" / "3.jpg")
    put(captions / "chicago" / "3.txt", b"caf\xe9")
    put(captions / "chicago" / "20.txt", " \n")
    return root


def test_instacities_is_read_in_the_order_of_city_and_id(instacities: Path) -> None:
    read = posts(open_dataset(instacities))
    assert [(post.city, post.post_id) for post in read] == [("chicago", "20"), ("chicago", "3"), ("london", OLD_ID)]
    assert [post.caption for post in read] == [None, "caf\ufffd", "the bridge\nat night 🌉\n"]
    assert read[2].picture == JPEG + b"1"


def test_instagram_ids_give_the_time_unless_told_otherwise(instacities: Path) -> None:
    assert [post.created_at for post in posts(open_dataset(instacities))] == [None, None, MADE]
    assert posts(open_dataset(instacities, ids="plain"))[2].created_at is None


@pytest.mark.parametrize(
    "inner",
    [".", "img_resized_1M", "img_resized_1M/cities_instagram", "..", "captions_resized_1M/../img_resized_1M"],
)
def test_the_dataset_is_found_from_around_it_and_from_within(instacities: Path, inner: str) -> None:
    assert posts(open_dataset(instacities / inner)) == posts(open_dataset(instacities))


def test_one_city_of_a_dataset_keeps_its_captions_and_times(instacities: Path) -> None:
    (post,) = posts(open_dataset(instacities / "img_resized_1M/cities_instagram/london"))
    assert (post.city, post.caption, post.created_at) == ("london", "the bridge\nat night 🌉\n", MADE)


def test_instany_has_its_captions_under_another_name(tmp_path: Path) -> None:
    put(tmp_path / "InstaNY100K/img_resized/newyork" / f"{OLD_ID}.jpg")
    put(tmp_path / "InstaNY100K/captions/newyork" / f"{OLD_ID}.txt", "hi")
    put(tmp_path / "InstaNY100K/readme.txt", "")
    for path in (tmp_path, tmp_path / "InstaNY100K"):
        (post,) = posts(open_dataset(path))
        assert (post.city, post.caption, post.created_at) == ("newyork", "hi", MADE)


@pytest.mark.parametrize("captions_are_split", [True, False])
def test_the_splits_of_a_city_are_one_city(tmp_path: Path, captions_are_split: bool) -> None:
    for post_id, split in (("1", "val"), ("2", "train"), ("3", "val"), ("4", "test")):
        put(tmp_path / "img" / "cities" / split / "london" / f"{post_id}.jpg")
        folder = tmp_path / "captions" / "cities" / (split if captions_are_split else "") / "london"
        put(folder / f"{post_id}.txt", f"caption {post_id}")
    read = posts(open_dataset(tmp_path))
    assert [(post.post_id, post.city, post.caption) for post in read] == [
        (str(number), "london", f"caption {number}") for number in (1, 2, 3, 4)
    ]


def test_every_usual_ending_is_a_picture_and_hidden_files_are_not(tmp_path: Path) -> None:
    pictures = ("a.jpg", "b.JPEG", "c.png", "d.WebP", "e.gif", "f.bmp")
    for name in (*pictures, "._a.jpg", ".b.jpg", "Thumbs.db", "g.txt", "h"):
        put(tmp_path / name)
    assert ids(open_dataset(tmp_path)) == ["a", "b", "c", "d", "e", "f"]


def test_the_second_picture_of_an_id_is_left_out_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "1.jpg", b"first")
    put(tmp_path / "1.png", b"second")
    put(tmp_path / "1-a.jpg")
    dataset = open_dataset(tmp_path)
    assert sorted((post.post_id, post.picture) for post in posts(dataset)) == [("1", b"first"), ("1-a", JPEG)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / '1.png'}: a second picture of this post; the first is taken"
    ]


def test_ids_stay_text(tmp_path: Path) -> None:
    put(tmp_path / "0001480879485913200243.jpg")
    assert ids(open_dataset(tmp_path)) == ["0001480879485913200243"]


def test_a_plain_folder_is_a_city(tmp_path: Path) -> None:
    folder = tmp_path / "rome"
    put(folder / f"{OLD_ID}.jpg")
    put(folder / f"{OLD_ID}.txt", "ciao")
    put(folder / "below" / "2.jpg")
    (post,) = posts(open_dataset(folder))
    assert (post.city, post.caption, post.created_at) == ("rome", "ciao", None)
    (post,) = posts(open_dataset(folder, city="roma", ids="instagram"))
    assert (post.city, post.created_at) == ("roma", MADE)


def test_pictures_right_in_the_img_folder_have_the_city_of_the_dataset_or_the_given_one(tmp_path: Path) -> None:
    put(tmp_path / "venice" / "img" / "1.jpg")
    put(tmp_path / "venice" / "captions" / "1.txt", "acqua alta")
    (post,) = posts(open_dataset(tmp_path / "venice"))
    assert (post.city, post.caption) == ("venice", "acqua alta")
    assert posts(open_dataset(tmp_path / "venice", city="venezia"))[0].city == "venezia"


def test_a_stray_picture_beside_the_cities_makes_no_city(instacities: Path) -> None:
    put(instacities / "img_resized_1M/cities_instagram/cover.jpg")
    assert open_dataset(instacities).cities() == ["chicago", "london"]


def test_without_captions_the_posts_have_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "img" / "rome" / "1.jpg")
    (post,) = posts(open_dataset(tmp_path))
    assert (post.city, post.caption) == ("rome", None)
    assert "no captions* folder beside it" in caplog.text


def test_a_city_is_chosen_and_the_others_are_not_looked_into(instacities: Path) -> None:
    dataset = open_dataset(instacities)
    assert [entry.post_id for entry in dataset.entries({"london"})] == [OLD_ID]
    assert dataset.count({"chicago"}) == 2
    assert dataset.count() == 3


def test_a_city_for_a_dataset_that_has_its_own_is_wrong_usage(instacities: Path) -> None:
    with pytest.raises(UsageError, match="--city is for pictures that lie in no city's folder"):
        open_dataset(instacities, city="paris")


@pytest.mark.parametrize("name", ["x" * 101, "a\nb", "\udcff"])
def test_a_folder_that_is_no_city_is_said(tmp_path: Path, name: str) -> None:
    put(tmp_path / "img" / name / "1.jpg")
    with pytest.raises(CommandError, match="not a city's name: city ") as refused:
        open_dataset(tmp_path)
    str(refused.value).encode()
    assert "\n" not in str(refused.value)


def test_several_datasets_are_not_mixed(instacities: Path) -> None:
    put(instacities / "img_original" / "london" / "1.jpg")
    with pytest.raises(UsageError, match="several datasets; name one of them: .*img_original, .*img_resized_1M"):
        open_dataset(instacities)
    assert ids(open_dataset(instacities / "img_resized_1M")) == ["20", "3", OLD_ID]


def test_nothing_to_be_found_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no dataset found; looked for img.*captions.*or pictures"):
        open_dataset(tmp_path)
    (tmp_path / "img" / "london").mkdir(parents=True)
    with pytest.raises(CommandError, match=r"no picture \(.bmp, .*\) in it or in folders below it"):
        open_dataset(tmp_path)
    with pytest.raises(CommandError, match="no such file or folder"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(CommandError, match=r"not a dataset: a folder, or a manifest ending in .csv, "):
        open_dataset(put(tmp_path / "x.zip"))


def test_going_on_after_an_id_begins_with_the_next(instacities: Path) -> None:
    dataset = open_dataset(instacities)
    assert [entry.post_id for entry in entries_after(dataset.entries(), "20")] == ["3", OLD_ID]
    assert list(entries_after(dataset.entries(), OLD_ID)) == []
    with pytest.raises(CommandError, match="--start-after 4: the dataset .* has no post of this id"):
        entries_after(dataset.entries(), "4")


@pytest.mark.parametrize(
    ("content", "limit", "reason"),
    [
        (b"", ENOUGH, "the picture is empty (0 bytes)"),
        (b"x" * 11, 10, "the picture has 11 bytes; the largest record that may be sent has 10"),
    ],
)
def test_a_picture_that_cannot_be_sent_is_named(tmp_path: Path, content: bytes, limit: int, reason: str) -> None:
    put(tmp_path / "1.jpg", content)
    (entry,) = only_entries(open_dataset(tmp_path).entries())
    with pytest.raises(Refused) as refused:
        entry.read(limit)
    assert refused.value.post_id == "1"
    assert refused.value.reason == f"{tmp_path / '1.jpg'}: {reason}"


def test_a_picture_that_vanished_or_was_never_a_file_is_named(tmp_path: Path) -> None:
    put(tmp_path / "1.jpg")
    os.mkfifo(tmp_path / "2.jpg")
    (tmp_path / "3.jpg").symlink_to("nowhere")
    entries = only_entries(open_dataset(tmp_path).entries())
    (tmp_path / "1.jpg").unlink()
    for entry in entries:
        with pytest.raises(Refused, match="there is no picture|is not a file"):
            entry.read(ENOUGH)


def test_a_name_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    put(tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    (entry,) = only_entries(open_dataset(tmp_path).entries())
    with pytest.raises(Refused, match="is not UTF-8") as refused:
        entry.read(ENOUGH)
    refused.value.reason.encode()


def test_a_folder_named_like_a_caption_is_none(tmp_path: Path) -> None:
    put(tmp_path / "1.jpg")
    (tmp_path / "1.txt").mkdir()  # a folder of that name is no caption
    assert posts(open_dataset(tmp_path))[0].caption is None


def test_a_big_dataset_is_read_as_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(tmp_path / "source")
    for city in ("a", "b", "c"):
        folder = tmp_path / "dataset" / "img" / city
        folder.mkdir(parents=True)
        for number in range(1000):
            os.link(source, folder / f"{number}.jpg")
    (tmp_path / "dataset" / "captions").mkdir()
    dataset = open_dataset(tmp_path / "dataset")

    opened, listed = create_autospec(Path.open, side_effect=Path.open), Mock(side_effect=os.scandir)
    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(os, "scandir", listed)

    entries = dataset.entries()
    assert not opened.called
    assert not listed.called
    first = [entry.read(ENOUGH) for entry in itertools.islice(entries, 10) if isinstance(entry, Entry)]
    assert len(first) == opened.call_count == 10
    assert [Path(call.args[0]) for call in listed.call_args_list] == [tmp_path / "dataset" / "img" / "a"]

    assert sum(1 for _ in entries) == 2990
    assert opened.call_count == 10, "going through entries reads no file"
    assert listed.call_count == 3
