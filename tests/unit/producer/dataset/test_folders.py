import itertools
import os
from pathlib import Path
from unittest.mock import Mock, create_autospec

import pytest
from PIL import Image, features

from producer.base.errors import CommandError, UsageError
from producer.dataset.entry import Entry, Refused
from producer.dataset.open import chosen_cities, entries_after, open_dataset
from producer.pictures import FORMATS, endings
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
    assert [post.caption for post in read] == [None, "café", "the bridge\nat night 🌉\n"]
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


def test_every_ending_that_the_decoder_reads_is_a_picture_and_hidden_files_are_not(tmp_path: Path) -> None:
    names = ["a.jpg", "b.JPEG", "c.png", "d.WebP", "e.gif", "f.bmp", "g.jfif", "h.jpe", "i.tif", "j.TIFF", "k.ppm"]
    if features.check("avif"):
        names.append("l.avif")
    for name in (*names, "._a.jpg", ".b.jpg", "g.txt"):
        put(tmp_path / name)
    assert ids(open_dataset(tmp_path)) == [name[0] for name in names]


def test_every_format_of_the_decoder_has_an_ending() -> None:
    assert {Image.registered_extensions()[ending] for ending in endings()} == set(FORMATS)


def test_files_of_other_endings_are_counted_and_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("rome/1.jpg", "rome/1.heic", "rome/2.HEIC", "rome/3", "paris/1.jpg", "paris/4.heic", "paris/5.mp4"):
        put(tmp_path / "img" / name)
    (tmp_path / "captions").mkdir()
    dataset = open_dataset(tmp_path)
    assert ids(dataset) == ids(dataset) == ["1", "1"]
    assert caplog.messages == [
        f"{tmp_path}: left out: 3 .heic, 1 .mp4, 1 without an ending "
        "(no endings of pictures that are read; save pictures as JPEG or PNG)"
    ]


def test_what_is_left_out_is_said_as_well_when_the_reading_ends_early(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("1.jpg", "2.jpg", "3.heic"):
        put(tmp_path / name)
    assert len(list(itertools.islice(open_dataset(tmp_path).entries(), 1))) == 1
    assert "left out: 1 .heic" in caplog.text


def test_a_folder_of_nothing_but_other_endings_says_which(tmp_path: Path) -> None:
    put(tmp_path / "1.heic")
    with pytest.raises(CommandError, match=r"no dataset found; .*; left out: 1 .heic"):
        open_dataset(tmp_path)


def test_second_pictures_of_an_id_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "1.jpg", b"first")
    put(tmp_path / "1.png", b"second")
    put(tmp_path / "1-a.jpg")
    put(tmp_path / "1-a.png")
    dataset = open_dataset(tmp_path)
    assert sorted((post.post_id, post.picture) for post in posts(dataset)) == [("1", b"first"), ("1-a", JPEG)]
    assert ids(dataset) == ["1", "1-a"]
    assert caplog.messages == [
        f"{tmp_path}: left out: 2 second pictures of posts, whose first is taken (first: {tmp_path / '1.png'})"
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


@pytest.mark.parametrize("inner", ["@eaDir/1.jpg", "__MACOSX", "#recycle", "$RECYCLE.BIN", ".thumbnails"])
def test_folders_that_no_person_made_are_passed_over(
    instacities: Path, inner: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(9):
        put(instacities / "img_resized_1M/cities_instagram/london" / inner / f"{number}.jpg")
    assert ids(open_dataset(instacities)) == ["20", "3", OLD_ID]
    assert not caplog.messages


def test_a_city_with_a_folder_inside_it_stays_a_city_and_the_folder_is_named(
    instacities: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(instacities / "img_resized_1M/cities_instagram/chicago/duplicates/3.jpg")
    put(instacities / "img_resized_1M/cities_instagram/chicago/duplicates/4.jpg")
    assert [(post.city, post.post_id) for post in posts(open_dataset(instacities))] == [
        ("chicago", "20"),
        ("chicago", "3"),
        ("london", OLD_ID),
    ]
    folder = (instacities / "img_resized_1M/cities_instagram/chicago/duplicates").resolve()
    assert caplog.messages[0] == f"pictures below the folders of cities, left out: 2 (first: {folder})"


def test_pictures_beside_cities_and_below_a_plain_folder_are_named(
    instacities: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(instacities / "img_resized_1M/cities_instagram/cover.jpg")
    open_dataset(instacities)
    put(instacities / "rome" / "1.jpg")
    put(instacities / "rome" / "below" / "2.jpg")
    assert ids(open_dataset(instacities / "rome")) == ["1"]
    first, second = caplog.messages
    assert first.startswith("pictures beside the folders of cities, left out: 1 (first: ")
    assert second.startswith("pictures below the folders of cities, left out: 1 (first: ")


def test_names_from_macos_are_the_same_names(tmp_path: Path) -> None:
    nfc, nfd = "são paulo", "sa\u0303o paulo"
    put(tmp_path / "img" / nfd / "praia\u0301.jpg")
    put(tmp_path / "captions" / nfc / "praiá.txt", "one")
    put(tmp_path / "img" / "café" / "olá.jpg")
    put(tmp_path / "captions" / "cafe\u0301" / "ola\u0301.txt", "two")
    put(tmp_path / "img" / " New  York" / "1.jpg")
    put(tmp_path / "captions" / "New York" / "1.txt", "three")
    dataset = open_dataset(tmp_path)
    assert [(post.city, post.caption) for post in posts(dataset)] == [
        ("New York", "three"),
        ("café", "two"),
        (nfc, "one"),
    ]
    for name in (nfc, nfd, f" {nfd}"):
        assert chosen_cities(f"{name},New  York", tmp_path, dataset) == ("New York", nfc)


def test_two_spellings_of_one_city_are_said_and_stay_two(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for city in ("London", "london", "paris"):
        put(tmp_path / "img" / city / "1.jpg")
    (tmp_path / "captions").mkdir()
    dataset = open_dataset(tmp_path)
    assert dataset.cities() == ["London", "london", "paris"]
    assert caplog.messages == [f"{tmp_path}: different spellings count as different cities: 'London' and 'london'"]
    with pytest.raises(UsageError, match="--cities Paris: not in .*; it has paris; there are: London, london, paris"):
        chosen_cities("Paris", tmp_path, dataset)
    with pytest.raises(UsageError, match="--cities: city has control characters"):
        chosen_cities("a\0b", tmp_path, dataset)


@pytest.mark.parametrize(
    ("content", "caption"),
    [
        ("\ufeffolá".encode(), "olá"),
        ("olá".encode("utf-16"), "olá"),
        ("\ufeffolá 🌉".encode("utf-16-be"), "olá 🌉"),
        ("olá, mundo".encode("utf-16-le"), "olá, mundo"),
        ("olá, mundo".encode("utf-16-be"), "olá, mundo"),
        ("olá “€”".encode("windows-1252"), "olá “€”"),
        ("olá".encode("utf-16")[:-1], "ol\ufffd"),
        (b"\x81\xe1", "\ufffdá"),
        ("東京の夜景".encode(), "東京の夜景"),
        ("\ufeff \n".encode(), None),
        (b"", None),
    ],
)
def test_a_caption_is_read_as_the_program_saved_it(tmp_path: Path, content: bytes, caption: str | None) -> None:
    put(tmp_path / "1.jpg")
    put(tmp_path / "1.txt", content)
    assert posts(open_dataset(tmp_path))[0].caption == caption


def test_captions_whose_encoding_is_a_guess_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        put(tmp_path / f"{number}.jpg")
        put(tmp_path / f"{number}.txt", b"caf\xe9")
    for entry in open_dataset(tmp_path).entries():
        assert isinstance(entry, Entry)
        assert entry.read(ENOUGH).caption == "café"
    guess = "a caption that is no UTF-8, read as Windows-1252; if letters are wrong, save it as UTF-8"
    assert caplog.messages == [f"{tmp_path / '0.txt'}: {guess}", f"3 in all: {guess}"]


@pytest.mark.parametrize(
    ("picture", "text", "found"),
    [
        ("2017-06-06_20-54-00_UTC_1", "2017-06-06_20-54-00_UTC", True),
        ("2017-06-06_20-54-00_UTC_12", "2017-06-06_20-54-00_UTC", True),
        (f"{OLD_ID}_2", OLD_ID, True),
        (f"{OLD_ID}_25025320_2", f"{OLD_ID}_25025320", True),
        ("rome_2", "rome", False),
        (OLD_ID, OLD_ID[:-2], False),
    ],
)
def test_the_pictures_of_a_carousel_have_its_caption(tmp_path: Path, picture: str, text: str, found: bool) -> None:
    put(tmp_path / f"{picture}.jpg")
    put(tmp_path / f"{text}.txt", "all of them")
    (post,) = posts(open_dataset(tmp_path))
    assert (post.post_id, post.caption) == (picture, "all of them" if found else None)
    put(tmp_path / f"{picture}.txt", "its own")
    assert posts(open_dataset(tmp_path))[0].caption == "its own"


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
    with pytest.raises(CommandError, match=r"no picture \(.*, .bmp, .*\) in it or in folders below it"):
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
        (b"x" * 11, 10, "the picture is larger than a record may be (10 bytes): 11 bytes"),
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
