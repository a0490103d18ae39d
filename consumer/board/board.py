"""The command `board`: pages for a browser, until it is stopped."""

import logging
import threading
from typing import TYPE_CHECKING

from consumer.board.album import Album
from consumer.board.cities import Cities
from consumer.board.fetch import AHEAD, Fetcher
from consumer.board.read import REQUEST_MS, Reader
from consumer.board.settings import BoardSettings
from consumer.board.wall import Wall
from consumer.kafka.bounded_consumer import build_consumer
from consumer.listen import in_url, listen
from consumer.start import begin, stop_on_signals
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.base.settings import load

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
    stop = threading.Event()
    reader = Reader(settings, wall)
    pictures = {"max_partition_fetch_bytes": AHEAD, "request_timeout_ms": REQUEST_MS}
    fetcher = Fetcher(build_consumer(settings, "placestream-board-pictures", **pictures))
    cities = Cities(settings)
    threads = [
        threading.Thread(target=run, args=(stop,), name=name, daemon=True)
        for name, run in (("read", reader.run), ("fetch", fetcher.run))
    ]
    stop_on_signals(stop)
    for thread in threads:
        thread.start()
    url = f"http://{in_url(settings.host)}:{listening.getsockname()[1]}/"
    event(log, logging.INFO, "board", address=url)
    print(f"The board is at {url} (Ctrl-C ends it)", flush=True)
    try:
        _server(settings, wall, fetcher, cities).run(sockets=[listening])
    finally:
        stop.set()
        for thread in threads:
            thread.join(5.0)
        reader.close()
        fetcher.close()
        cities.close()
    event(log, logging.INFO, "ended")
    return 0


def _server(settings: BoardSettings, wall: Wall, fetcher: Fetcher, cities: Cities) -> "uvicorn.Server":
    import uvicorn

    from consumer.board.app import Board, build

    album = Album(fetcher, settings.input_topic, settings.keep_posts, settings.keep_bytes)
    board = Board(settings, wall, album, cities, lambda: server.should_exit)
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
