"""The pages without a server: a board of one post, and what it answers."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from starlette.types import ASGIApp

from consumer.board.album import Picture
from consumer.board.app import Board, build
from consumer.board.cities import Figures
from consumer.board.search import Search
from consumer.board.settings import BoardSettings
from consumer.board.wall import Shown, Wall
from consumer.record import SourceRecord
from producer.base.settings import load
from tests.labels import labeled, labeled_value


class Album:
    """Gives this picture, or raises this, or never answers."""

    def __init__(self, answer: Picture | Exception | None) -> None:
        self.answer = answer

    async def picture(self, source: SourceRecord, post_id: str) -> Picture:
        if self.answer is None:
            await asyncio.sleep(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer
        return self.answer

    async def label(self, topic: str, partition: int, offset: int) -> Shown:
        assert isinstance(self.answer, Exception)
        raise self.answer


def board(
    answer: Picture | Exception | None = None,
    figures: Callable[[], Figures] = Figures,
    *flags: str,
    search: Search | None = None,
) -> ASGIApp:
    """One with a post on its wall, at 0/0, and captions."""
    wall = Wall(10, 2**20)
    wall.add(0, 0, labeled(), json.dumps(labeled_value()).encode())
    settings = load(BoardSettings, "board", ("--captions", *flags))
    return build(Board(settings, wall, Album(answer), SimpleNamespace(figures=figures), lambda: False, search))  # type: ignore[arg-type]


def ask(app: ASGIApp, path: str, host: str = "127.0.0.1") -> tuple[int, dict[str, str], str]:
    """Status, headers, and the body's beginning of an answer; the exception of a 500 is dropped, as the server does."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    sent: list[Any] = []
    enough = asyncio.Event()

    async def receive() -> dict[str, str]:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body"):
            enough.set()

    async def answered() -> None:
        with suppress(ZeroDivisionError):
            await asyncio.wait_for(app(scope, receive, send), 20)

    asyncio.run(answered())
    start, *bodies = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(each.get("body", b"") for each in bodies).decode()
