"""Search: what a person's words find among the kept vectors, and which pictures are like another."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from consumer.board.index import Index, Kept, Near

T = TypeVar("T")

MOST_LETTERS = 200
"""Of a query."""
FOUND = 24
"""Posts that a search shows, of each kind."""
MOST_WAITING = 32
"""Searches that may wait for one another."""


class Busy(Exception):
    """Too many searches wait already."""


class Search:
    """One search at a time, for each takes all cores; belongs to the event loop.

    Attributes:
        index: what is searched.
    """

    def __init__(self, index: Index, encode: Callable[[str], NDArray[np.float32]]) -> None:
        """Begin with nothing asked for.

        Args:
            index: what is searched.
            encode: a query's unit vector, in the space of the index's.
        """
        self.index = index
        self._encode = encode
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def by_words(self, query: str) -> tuple[list[Near], list[Near]]:
        """The posts whose pictures, and those whose captions, are nearest to a query.

        Raises:
            Busy: too many searches wait already.
        """

        def search() -> tuple[list[Near], list[Near]]:
            vector = self._encode(query)
            return self.index.near(vector, "image", FOUND), self.index.near(vector, "text", FOUND)

        return await self._in_turn(search)

    async def like(self, city: str, post_id: str) -> tuple[Kept, list[Near]] | None:
        """See `Index.like`.

        Raises:
            Busy: too many searches wait already.
        """
        return await self._in_turn(lambda: self.index.like(city, post_id, FOUND))

    async def _in_turn(self, search: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(search)
        finally:
            self._waiting -= 1
