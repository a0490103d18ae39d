"""The small pictures (and captions) of posts, fetched when a page asks: a bounded number of them and of bytes."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from consumer.board.fetch import Fetcher, Gone
from consumer.board.pictures import small_jpeg
from consumer.board.wall import Shown
from consumer.classify.pictures.decode import LABELLED, PictureError
from consumer.labeled_post import LabeledPost
from consumer.record import SourceRecord
from producer.dataset.entry import Entry, Refused
from producer.post import BadRecord, Post

FETCHED_AT_ONCE = 8
"""Records in memory, from the moment they are asked for until they are a small picture: one may take 16 MB."""
DECODED_AT_ONCE = 2
"""Pictures: a large one takes 150 MB while it is decoded."""
OVERHEAD = 200
"""Bytes that a kept picture takes beside its own and its caption's."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a post's own record has to show.

    Attributes:
        jpeg: small; None when the picture cannot be read.
        caption: None without one.
    """

    jpeg: bytes | None
    caption: str | None

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.jpeg or b"") + 4 * len(self.caption or "") + OVERHEAD


class Album:
    """Pictures by their post's record; belongs to the event loop."""

    def __init__(
        self, fetcher: Fetcher, input_topic: str, posts: int, size: int, files: Mapping[str, Entry] | None = None
    ) -> None:
        """Begin empty.

        Args:
            fetcher: fetches records.
            input_topic: the only topic whose records are shown, whatever a label says.
            posts: most pictures that are kept.
            size: most bytes of them.
            files: posts of a dataset by their id: these are not fetched.
        """
        self._fetcher = fetcher
        self._input_topic = input_topic
        self._most, self._most_bytes, self._bytes = posts, size, 0
        self._kept: OrderedDict[tuple[int, int, str], Picture] = OrderedDict()
        self._files = files or {}
        self._fetching = asyncio.Semaphore(FETCHED_AT_ONCE)
        self._decoding = asyncio.Semaphore(DECODED_AT_ONCE)

    async def picture(self, source: SourceRecord, post_id: str) -> Picture:
        """The picture of the post whose record lies there.

        Raises:
            Gone: it has expired, another post's record lies there now, or its file cannot be read.
            Away: the broker does not answer.
        """
        entry = self._files.get(post_id)
        if entry is None and source.topic != self._input_topic:
            raise Gone(f"it lies in another topic than {self._input_topic}")
        key = source.partition, source.offset, post_id
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        async with self._fetching:
            read: Callable[[], Post]
            if entry is not None:
                read = partial(_from_file, entry)
            else:
                read = partial(_from_record, await self._record(source.topic, source.partition, source.offset), post_id)
            async with self._decoding:
                picture = await asyncio.to_thread(_picture, read)
        self._keep(key, picture)
        return picture

    async def label(self, topic: str, partition: int, offset: int) -> Shown:
        """A labelled post that is no longer on the wall.

        Raises:
            Gone: no labelled post lies there.
            Away: the broker does not answer.
        """
        value = (await self._record(topic, partition, offset)).value or b""
        try:
            json.loads(value)
            return Shown(partition, offset, LabeledPost.model_validate_json(value), value)
        except ValueError:  # pydantic's ValidationError is one
            raise Gone("the record there is no labelled post") from None

    async def _record(self, topic: str, partition: int, offset: int) -> Any:
        return await asyncio.wrap_future(self._fetcher.ask(topic, partition, offset))

    def _keep(self, key: tuple[int, int, str], picture: Picture) -> None:
        if before := self._kept.pop(key, None):  # two browsers asked at once
            self._bytes -= before.size
        self._kept[key] = picture
        self._bytes += picture.size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].size


def _picture(read: Callable[[], Post]) -> Picture:
    post = read()
    try:
        return Picture(small_jpeg(post.picture), post.caption)
    except PictureError:
        return Picture(None, post.caption)


def _from_file(entry: Entry) -> Post:
    try:
        return entry.read(LABELLED.max_bytes)
    except Refused as error:
        raise Gone(error.reason) from None


def _from_record(record: Any, post_id: str) -> Post:
    try:
        post = Post.from_record(record.key, record.value, record.headers)
    except (BadRecord, ValidationError):
        raise Gone("the record there is no post") from None
    if post.post_id != post_id:
        raise Gone("another post's record lies there now")
    return post
