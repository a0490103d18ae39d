"""The command `board`: pages for a browser, until it is stopped."""

import logging
import threading
from typing import TYPE_CHECKING, Any

from consumer.board.album import Album
from consumer.board.cities import Cities
from consumer.board.fetch import AHEAD, Fetcher
from consumer.board.index import Index, Kept
from consumer.board.read import REQUEST_MS, Reader
from consumer.board.search import Search
from consumer.board.settings import BoardSettings
from consumer.board.wall import Wall
from consumer.encoded_post import EncodedPost
from consumer.kafka.bounded_consumer import build_consumer
from consumer.labeled_post import LabeledPost, parse_or_skip
from consumer.listen import in_url, listen
from consumer.start import begin, stop_on_signals
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.base.settings import load
from producer.dataset.entry import Entry

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run `board`.

    Args:
        argv: flags of `BoardSettings`.

    Returns:
        0 when stopped.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(BoardSettings, "python -m consumer board", argv)
    _check_extra()
    listening = listen(settings.host, settings.port, "pages", "HOST, PORT")
    begin(settings)
    wall = Wall(settings.keep_posts, settings.keep_bytes)
    search, files = _search(settings) if settings.search or settings.export else (None, {})
    stop = threading.Event()
    readers = [follow_labels(settings, wall)]
    if search and not settings.export:
        readers.append(follow_vectors(settings, search.index))
    pictures = {"max_partition_fetch_bytes": AHEAD, "request_timeout_ms": REQUEST_MS}
    fetcher = Fetcher(build_consumer(settings, "placestream-board-pictures", **pictures))
    album = Album(fetcher, settings.input_topic, settings.keep_posts, settings.keep_bytes, files)
    cities = Cities(settings)
    threads = [
        threading.Thread(target=run, args=(stop,), name=name, daemon=True)
        for name, run in [*(("read", reader.run) for reader in readers), ("fetch", fetcher.run)]
    ]
    stop_on_signals(stop)
    for thread in threads:
        thread.start()
    url = f"http://{in_url(settings.host)}:{listening.getsockname()[1]}/"
    event(log, logging.INFO, "board", address=url)
    print(f"The board is at {url} (Ctrl-C ends it)", flush=True)
    try:
        _server(settings, wall, album, cities, search).run(sockets=[listening])
    finally:
        stop.set()
        for thread in threads:
            thread.join(5.0)
        for reader in readers:
            reader.close()
        fetcher.close()
        cities.close()
    event(log, logging.INFO, "ended")
    return 0


def follow_labels(settings: BoardSettings, wall: Wall) -> Reader:
    """What puts the labelled posts on the wall."""

    def take(record: Any) -> None:
        if post := parse_or_skip(LabeledPost.from_record, record):
            wall.add(record.partition, record.offset, post, record.value)

    return Reader(settings, settings.output_topic, "labels", take, wall.say)


def _search(settings: BoardSettings) -> tuple[Search, dict[str, Entry]]:
    """With a model that encodes queries, and the vectors of the export or none yet; files of its pictures. Slow."""
    # here, not at the top: torch is slow to import
    from consumer.board.exported import files_of, read_export
    from consumer.classify.factory import build_query_encoder

    identity, encode = build_query_encoder(settings)
    dimensions = len(encode("a place"))
    if settings.export is None:
        return Search(Index(identity, dimensions, settings.keep_posts), encode), {}
    index = read_export(settings.export, identity, dimensions)
    return Search(index, encode), files_of(settings.dataset, index) if settings.dataset else {}


def follow_vectors(settings: BoardSettings, index: Index) -> Reader:
    """What keeps the vectors of VECTORS_TOPIC."""

    def take(record: Any) -> None:
        if post := parse_or_skip(EncodedPost.from_record, record, "encoded post"):
            index.add(Kept(post.post_id, post.city, post.source), post.encoder, post.vectors)

    return Reader(settings, str(settings.vectors_topic), "vectors", take, index.say)


def _server(
    settings: BoardSettings, wall: Wall, album: Album, cities: Cities, search: Search | None
) -> "uvicorn.Server":
    import uvicorn

    from consumer.board.app import Board, build

    board = Board(settings, wall, album, cities, lambda: server.should_exit, search)
    server = uvicorn.Server(
        uvicorn.Config(
            build(board),
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=3,
            proxy_headers=False,
            limit_concurrency=512,
        )
    )
    return server


def _check_extra() -> None:
    try:
        import jinja2  # noqa: F401  # looked for before anything is connected
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise CommandError(f"board needs the package {error.name}: pip install 'placestream[board]'") from None
