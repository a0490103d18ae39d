import asyncio
import threading
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from consumer.board import album as module
from consumer.board.album import FETCHED_AT_ONCE, Album, Picture
from consumer.board.fetch import Gone
from consumer.record import SourceRecord
from producer.dataset.entry import Entry
from tests.unit.consumer.classify.photos import encoded

NOISE = encoded(Image.effect_noise((100, 100), 90), "JPEG")


class Records:
    """Stands for the fetcher: post N lies at offset N."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.asked: list[int] = []

    def ask(self, topic: str, partition: int, offset: int) -> Future[Any]:
        self.asked.append(offset)
        headers = [("city", b"x"), ("caption", "été".encode())]
        answer: Future[Any] = Future()
        answer.set_result(SimpleNamespace(key=str(offset).encode(), value=self.value, headers=headers))
        return answer


def look(album: Album, *offsets: int, post_id: str | None = None, topic: str = "posts") -> list[Picture]:
    async def each() -> list[Picture]:
        sources = [SourceRecord(topic=topic, partition=0, offset=offset) for offset in offsets]
        return [await album.picture(source, post_id or str(source.offset)) for source in sources]

    return asyncio.run(each())


def album(records: Records, posts: int = 10, size: int = 2**20) -> Album:
    return Album(records, "posts", posts, size)  # type: ignore[arg-type]


def test_a_picture_is_fetched_once_and_its_caption_with_it() -> None:
    records = Records(NOISE)
    kept = album(records)
    (first,), (again,) = look(kept, 3), look(kept, 3)
    assert records.asked == [3]
    assert first is again
    assert first.caption == "été"
    assert first.jpeg is not None
    assert first.jpeg.startswith(b"\xff\xd8")


def test_a_picture_of_a_dataset_is_read_from_its_file_wherever_its_record_was(tmp_path: Path) -> None:
    (tmp_path / "3.jpg").write_bytes(NOISE)
    files = {name: Entry(name, "oslo", tmp_path / f"{name}.jpg", "a text") for name in ("3", "4")}
    records = Records(NOISE)
    kept = Album(records, "posts", 10, 2**20, files)  # type: ignore[arg-type]
    (read,) = look(kept, 3, topic="another")
    assert read.jpeg is not None
    assert read.caption == "a text"
    with pytest.raises(Gone, match="there is no picture"):
        look(kept, 4)
    assert records.asked == []
    look(kept, 5)
    assert records.asked == [5]


def test_no_more_pictures_and_bytes_are_kept_than_allowed() -> None:
    records = Records(NOISE)
    by_number = album(records, posts=3)
    look(by_number, 1, 2, 3, 1, 4)
    records.asked.clear()
    look(by_number, 1, 3, 4, 2)
    assert records.asked == [2], "2 was not looked at for longest"
    (one,) = look(by_number, 1)
    by_bytes = album(records, size=int(2.5 * one.size))
    look(by_bytes, 1, 2, 3)
    records.asked.clear()
    look(by_bytes, 2, 3, 1)
    assert records.asked == [1]


@pytest.mark.parametrize(("post_id", "topic"), [("another", "posts"), ("5", "salaries")])
def test_what_is_no_longer_the_posts_own_record_is_not_shown(post_id: str, topic: str) -> None:
    with pytest.raises(Gone):
        look(album(Records(NOISE)), 5, post_id=post_id, topic=topic)


def test_a_picture_that_cannot_be_read_is_none_and_not_fetched_again() -> None:
    records = Records(b"no picture")
    kept = album(records)
    assert [each.jpeg for each in look(kept, 1, 1)] == [None, None]
    assert records.asked == [1]


def test_no_more_whole_records_are_in_memory_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    records, go_on = Records(b"x"), threading.Event()

    def wait_and_shrink(data: bytes) -> bytes:
        assert go_on.wait(60)
        return b"small"

    monkeypatch.setattr(module, "small_jpeg", wait_and_shrink)

    async def browse() -> tuple[int, list[Picture]]:
        kept = album(records, posts=100)
        sources = [SourceRecord(topic="posts", partition=0, offset=offset) for offset in range(30)]
        asked = [asyncio.create_task(kept.picture(source, str(source.offset))) for source in sources]
        while len(records.asked) < FETCHED_AT_ONCE:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # more would come now
        before = len(records.asked)
        go_on.set()
        return before, await asyncio.gather(*asked)

    before, pictures = asyncio.run(asyncio.wait_for(browse(), 30))
    assert before == FETCHED_AT_ONCE
    assert [picture.jpeg for picture in pictures] == [b"small"] * 30
