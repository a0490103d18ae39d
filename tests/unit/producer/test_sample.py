import hashlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from producer import photographs
from producer.base.errors import CommandError
from producer.dataset.open import open_dataset
from producer.post import Post
from producer.sample import CITIES, MARKER, POSTS, POSTS_PER_GIVEN, write_sample
from tests.unit.producer.tree import posts, put


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample") / "new" / "folder"
    assert write_sample(directory) == f"{directory}: 300 posts, 6 cities, 16 distinct photographs"
    return directory


@pytest.fixture(scope="module")
def read(sample: Path) -> list[Post]:
    return posts(open_dataset(sample))


def fingerprint(directory: Path) -> str:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(directory)).encode() + p.read_bytes() for p in files)).hexdigest()


def test_the_sample_is_a_dataset_of_instacities_layout(sample: Path, read: list[Post]) -> None:
    assert {path.name for path in sample.iterdir()} == {"img_resized_1M", "captions_resized_1M", MARKER}
    assert len(read) == len({post.post_id for post in read}) == POSTS
    assert Counter(post.city for post in read) == {city: POSTS // len(CITIES) for city in CITIES}


def test_its_ids_are_like_instagrams(read: list[Post]) -> None:
    for post in read:
        assert len(post.post_id) == 19
        assert post.created_at is not None
        assert datetime(2016, 1, 1, tzinfo=UTC) < post.created_at < datetime(2018, 1, 1, tzinfo=UTC)


def test_its_captions_are_of_many_kinds(read: list[Post]) -> None:
    captions = [post.caption for post in read]
    texts = [caption for caption in captions if caption]
    assert 20 < captions.count(None) < 100
    assert any("\n" in text for text in texts)
    assert any("#" in text for text in texts)
    assert any(not any(character.isalnum() for character in text) for text in texts), "emoji alone"
    for letters in ("のすで", "صباح", "ğış", "ñ"):
        assert any(set(text) & set(letters) for text in texts), letters
    assert any("temple" in text for text in texts)
    assert len(set(texts)) > 60


def test_its_pictures_are_all_different(sample: Path, read: list[Post]) -> None:
    assert len({post.picture for post in read}) == POSTS
    for path in list(sample.glob("img*/*/*/*.jpg"))[::50]:
        with Image.open(path) as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (300, 300), "RGB")


def test_writing_again_changes_nothing(sample: Path) -> None:
    before = fingerprint(sample)
    assert write_sample(sample) == f"{sample}: already there: 300 posts, 6 cities, 16 distinct photographs"
    assert fingerprint(sample) == before


@pytest.mark.slow
def test_the_same_bytes_come_out_and_an_unfinished_sample_is_finished(sample: Path, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text((sample / MARKER).read_text().replace("true", "false"))
    put(tmp_path / "img_resized_1M" / "cities_instagram" / "london" / ".half", "")
    write_sample(tmp_path)
    (tmp_path / "img_resized_1M" / "cities_instagram" / "london" / ".half").unlink()
    assert fingerprint(tmp_path) == fingerprint(sample)


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    put(tmp_path / "thesis.txt", "important")
    with pytest.raises(CommandError, match="is not empty and no earlier sample"):
        write_sample(tmp_path)
    put(tmp_path / MARKER, "{}")
    with pytest.raises(CommandError, match="is not empty and no earlier sample"):
        write_sample(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.txt", MARKER}


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        write_sample(put(tmp_path / "file"))


@pytest.mark.slow
def test_given_photographs_are_used_with_their_captions(
    sample: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGBA", (40, 90), (0, 128, 0, 200)).save(photos / "mine.png")
    put(photos / "mine.txt", "my own gardén".encode("utf-16"))
    put(photos / "other.heic")
    put(photos / "broken.jpg", b"\xff\xd8\xff broken")
    put(photos / "._mine.png", "macOS")
    said = write_sample(tmp_path / "out", photos)
    assert said.endswith(f"{POSTS + POSTS_PER_GIVEN} posts, 6 cities, 17 distinct photographs")
    captions = [post.caption for post in posts(open_dataset(tmp_path / "out"))]
    assert captions.count("my own gardén") == POSTS_PER_GIVEN
    endings, broken = caplog.messages
    assert endings.startswith(f"--photos {photos}: left out: 1 .heic (")
    assert broken.startswith(f"{photos / 'broken.jpg'} is left out")
    with pytest.raises(CommandError, match="holds a sample of other photographs"):
        write_sample(sample, photos)
    with pytest.raises(CommandError, match="--photos .*absent: No such file"):
        write_sample(tmp_path / "out", tmp_path / "absent")


def test_a_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r"pip install 'placestream\[sample\]'"):
        write_sample(tmp_path / "out")
    assert not (tmp_path / "out").exists()
