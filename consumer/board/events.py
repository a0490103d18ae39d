"""Server-sent events: what a wall that is open in a browser is told, twice a second at most."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from consumer.board import render
from consumer.board.settings import BoardSettings
from consumer.board.wall import Filter, Wall

CARDS = 48
"""Most posts that a page shows."""
CARDS_LATER = 12
"""Most posts that an event adds to a full page: nobody sees more in half a second. A faster stream is shown in part."""
TICK = 0.5
"""Seconds between two events."""
STATUS_EVERY = 1.0
"""Seconds after which there is one without new posts: the browser sees that the board is there."""
CHOICES_EVERY = 2.0
"""Seconds between two looks at the cities and places that may be chosen."""
MOST_VIEWERS = 64


def filter_of(request: Request) -> Filter:
    """The filter that an address names; what is empty is not one."""
    named = request.query_params
    return Filter(city=named.get("city") or None, place=named.get("place") or None, by=named.get("by") or None)


class Events:
    """The event streams of all open walls."""

    def __init__(self, wall: Wall, settings: BoardSettings, is_ending: Callable[[], bool]) -> None:
        """Begin without viewers.

        Args:
            wall: what is told about.
            settings: whether cards have room for captions, and with what every address begins.
            is_ending: whether the server ends: streams end then.
        """
        self._wall = wall
        self._settings = settings
        self._is_ending = is_ending
        self._viewers = 0

    async def answer(self, request: Request) -> Response:
        """The stream for one wall: first its latest posts then what comes."""
        if self._viewers >= MOST_VIEWERS:
            return PlainTextResponse("too many walls are open", 503)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}  # else nginx holds events back
        return StreamingResponse(self._stream(filter_of(request)), media_type="text/event-stream", headers=headers)

    async def _stream(self, wanted: Filter) -> AsyncIterator[str]:
        self._viewers += 1
        try:
            sent, seen, told_at, choices, chosen_at = 0, 0, 0.0, None, 0.0
            yield "retry: 2000\n\n"
            while not self._is_ending():
                shown, number = self._wall.latest(wanted, max(CARDS_LATER, CARDS - sent), seen)
                now = time.monotonic()
                if shown or now - told_at >= STATUS_EVERY:
                    cards = render.cards(shown, self._settings.captions, self._settings.root_path)
                    told: dict[str, Any] = render.status(self._wall) | {"cards": cards}
                    if now - chosen_at >= CHOICES_EVERY:
                        chosen_at = now
                        if (found := self._wall.choices()) != choices:
                            choices = found
                            told["cities"] = found[0]
                            told["places"] = [(place, render.place(place)) for place in found[1]]
                    sent, seen, told_at = sent + len(shown), number, now
                    yield f"data: {json.dumps(told)}\n\n"
                await asyncio.sleep(TICK)
        finally:
            self._viewers -= 1
