"""The pages as a Starlette application: which address shows what, and what every answer says to the browser."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.board import render
from consumer.board.album import Album, Picture
from consumer.board.cities import Cities
from consumer.board.events import CARDS, Events, filter_of
from consumer.board.fetch import Away, Gone
from consumer.board.search import MOST_LETTERS, Busy, Search
from consumer.board.settings import BoardSettings
from consumer.board.wall import Shown, Wall
from consumer.record import SourceRecord

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
EXPIRED = "The picture has expired."
NO_CAPTION = "The caption has expired."
SLOW = "The caption is being fetched."
TEXT_WAIT = 3.0
"""Seconds that a post's page waits for its caption; afterwards the browser asks for it."""


class _Number(IntegerConvertor):
    regex = "[0-9]{1,19}"  # what has more digits is no number of Kafka's, and from 4,301 on none of Python's


register_url_convertor("number", _Number())


@dataclass(frozen=True, slots=True)
class Board:
    """What the pages show; without `search` there is none."""

    settings: BoardSettings
    wall: Wall
    album: Album
    cities: Cities
    is_ending: Callable[[], bool]
    search: Search | None = None


def build(board: Board) -> ASGIApp:
    """The application: GET alone, as Starlette's routes are. The headers are on its own answer to a mistake, too."""
    events = Events(board.wall, board.settings, board.is_ending)
    pages = _Pages(board)
    routes = [
        Route("/", pages.live),
        Route("/events", events.answer),
        Route("/post/{partition:number}/{offset:number}", pages.post),
        Route("/picture/{topic}/{partition:number}/{offset:number}", pages.picture),
        Route("/caption/{topic}/{partition:number}/{offset:number}", pages.caption),
        Route("/cities", pages.cities),
        Route("/cities/figures", pages.figures),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    if board.search:
        routes.append(Route("/search", partial(pages.search, board.search)))
    pages_and_events = Starlette(
        # A proxy may pass ROOT_PATH on, or take it off.
        routes=[Mount(board.settings.root_path, routes=routes), *routes] if board.settings.root_path else routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=board.settings.hosts, www_redirect=False),
        ],
        exception_handlers={404: pages.not_found},
    )
    return _Headers(pages_and_events)


class _Pages:
    """Each method answers one address."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._root = board.settings.root_path

    async def live(self, request: Request) -> Response:
        wall, wanted = self._board.wall, filter_of(request)
        shown, number = wall.latest(wanted, CARDS)
        cities, places = wall.choices()
        cards = render.cards(shown, self._board.settings.captions, self._root)
        return self._page("live.html.j2", cards=cards, number=number, filter=wanted, cities=cities, places=places)

    async def post(self, request: Request) -> Response:
        try:
            shown = await self._shown(request)
        except Gone:
            return self._page(
                "problem.html.j2",
                404,
                title="No such post",
                refresh=False,
                text=("There is no labelled post at this address: it has expired, or it never was there."),
            )
        except Away as error:
            text = f"It is no longer on the wall, and it cannot be read from its topic. {error}"
            return self._page("problem.html.j2", 503, title="This post cannot be shown now", refresh=True, text=text)
        caption, is_late = await self._caption_of(shown)
        search = self._board.search
        is_kept = search is not None and search.index.has(shown.post.city, shown.post.post_id)
        return self._page("post.html.j2", shown=shown, caption=caption, is_late=is_late, has_likes=is_kept)

    async def picture(self, request: Request) -> Response:
        try:
            picture = await self._picture(request)
        except Gone:
            return _text(EXPIRED, 410)
        except Away as error:
            return _text(f"{error}", 503)
        if picture.jpeg is None:
            return _text("The picture cannot be read.", 415)
        return Response(picture.jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    async def caption(self, request: Request) -> Response:
        if not self._board.settings.captions:
            return _text("Captions are shown with --captions only.", 404)
        try:
            return _text((await self._picture(request)).caption or "")
        except Gone:
            return _text(NO_CAPTION, 410)
        except Away as error:
            return _text(f"{error}", 503)

    async def cities(self, request: Request) -> Response:
        return self._page("cities.html.j2", **await self._city_values(request))

    async def figures(self, request: Request) -> Response:
        """What changes on the Cities page; the figures apart from the header, for they change less often."""
        figures = render.page("figures.html.j2", root=self._root, **await self._city_values(request))
        told = render.status(self._board.wall) | {"figures": figures}
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def search(self, search: Search, request: Request) -> Response:
        """What a query finds, or which pictures are like a post's; without either the box alone."""
        asked = request.query_params
        query = " ".join(asked.get("q", "").split())
        by_words = like = said = None
        code = 200
        try:
            if len(query) > MOST_LETTERS:
                code, said = 400, f"At most {MOST_LETTERS} letters can be looked for; these are {len(query):,}."
            elif query:
                by_words = await search.by_words(query)
            elif "q" in asked:
                code, said = 400, "Say what to look for, in a few words."
            elif "like" in asked and (like := await search.like(asked.get("city", ""), asked["like"])) is None:
                code, said = 404, "The vectors of this post are not kept, or no longer."
        except Busy:
            code, said = 503, "Too many searches wait; try again."
        return self._page(
            "search.html.j2",
            code,
            query=query[:MOST_LETTERS],
            most=MOST_LETTERS,
            said=said,
            by_words=by_words,
            like=like,
            counted=search.index.counted(),
            label_of=self._board.wall.label_of,
            captions=self._board.settings.captions,
        )

    async def not_found(self, request: Request, error: Exception) -> Response:
        text = "There is no such page. The wall and the cities are above."
        return self._page("problem.html.j2", 404, title="No such page", text=text, refresh=False)

    async def _city_values(self, request: Request) -> dict[str, Any]:
        figures = await asyncio.to_thread(self._board.cities.figures)
        named, number = request.query_params.get("city"), request.query_params.get("page", "")
        listed = figures.page(named, int(number) if re.fullmatch("[0-9]{1,9}", number) else 1)
        shown = named if named is not None or not listed.names else listed.names[0]
        city = None if shown is None else figures.city(shown)
        return {"figures": figures, "listed": listed, "city": city, "named": named}

    async def _shown(self, request: Request) -> Shown:
        """The post whose label lies at an address: from the wall, or from the topic."""
        partition, offset = _coordinates(request)
        topic = self._board.settings.output_topic
        return self._board.wall.find(partition, offset) or await self._board.album.label(topic, partition, offset)

    async def _caption_of(self, shown: Shown) -> tuple[str | None, bool]:
        """A post's caption or why there is none, None where none are shown; and whether to ask again."""
        if not self._board.settings.captions:
            return None, False
        try:
            async with asyncio.timeout(TEXT_WAIT):
                picture = await self._board.album.picture(shown.post.source, shown.post.post_id)
        except Gone:
            return NO_CAPTION, False
        except Away as error:
            return f"{error}", True
        except TimeoutError:
            return SLOW, True
        return picture.caption or "No caption.", False

    async def _picture(self, request: Request) -> Picture:
        """The picture whose post lies at an address; its id is in the query, for another post may lie there later."""
        partition, offset = _coordinates(request)
        source = SourceRecord(topic=request.path_params["topic"], partition=partition, offset=offset)
        return await self._board.album.picture(source, request.query_params.get("post", ""))

    def _page(self, template: str, code: int = 200, **values: Any) -> Response:
        values |= {"status": render.status(self._board.wall), "can_search": self._board.search is not None}
        html = render.page(template, root=self._root, **values)
        return HTMLResponse(html, code, {"cache-control": "no-store"})


def _coordinates(request: Request) -> tuple[int, int]:
    partition, offset = request.path_params["partition"], request.path_params["offset"]
    if partition >= 2**31 or offset >= 2**63:  # no such number is on Kafka's wire
        raise Gone("no such record")
    return partition, offset


def _text(text: str, code: int = 200) -> Response:
    return PlainTextResponse(text, code, {"cache-control": "no-store"})


class _Headers:
    """Adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._app(scope, receive, with_headers)
