"""The live board on the sample dataset (`make board`), and screenshots of its pages (`make screenshots`).

Both run the commands that a person would type, against the broker and Redis that the environment names.
"""

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import CliPositionalArg

from deploy.demo import type_command
from deploy.local.process import Watcher
from producer.base.command import run
from producer.base.errors import CommandError
from producer.base.settings import VectorsTopicSettings, load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZE = {"width": 1280, "height": 900}
SCHEMES = ("light", "dark")
QUIET = ("--metrics-port", "0", "--log-level", "warning")
STOP_TIMEOUT = 30.0
ALL_LOADED = """[...document.images].filter(one => one.getBoundingClientRect().top < innerHeight)
  .every(one => one.complete && one.naturalWidth)"""


class VectorsSettings(VectorsTopicSettings):
    """The topics; that of the vectors has a name, for the board searches them."""

    vectors_topic: str = Field("post-vectors", min_length=1, description="topic of the posts' vectors")


class ShowSettings(VectorsSettings):
    """Run replay in a loop, worker, counter and board on the sample dataset until Ctrl-C."""

    rate: float = Field(3.0, gt=0, description="posts per second")
    port: int = Field(8090, ge=0, le=65535, description="port of the board; 0 = any free one")


class ScreenshotSettings(VectorsSettings):
    """Write PNGs of the board's pages, light and dark, empty and with the sample dataset labelled."""

    folder: CliPositionalArg[Path] = Field(description="where they go")
    drawn: bool = Field(False, description="show drawings of our own, not the photographs of the sample dataset")
    chromium: str = Field("chromium", description="the browser")


def show(argv: list[str]) -> int:
    """``show``: everything, until Ctrl-C or SIGTERM; returns the exit code.

    Raises:
        CommandError: one of the processes ends by itself.
    """
    settings = load(ShowSettings, "python -m deploy.board show", argv)
    _stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="placestream-board-") as folder:
        dataset = str(Path(folder) / "sample")
        try:
            type_command("producer", "sample", dataset)
            type_command("producer", "topics", *_vectors(settings))
            with (
                _started(*_board(settings, settings.port)) as board,
                _started(*_label(settings)) as label,
                _started("consumer", "count", *QUIET) as count,
            ):
                while True:
                    replay = ("producer", "replay", dataset, "--again", "--rate", f"{settings.rate:g}")
                    with _started(*replay, quiet=True) as posts:
                        while posts.poll() is None:
                            for name, process in (("board", board), ("label", label), ("count", count)):
                                if process.poll() is not None:
                                    raise CommandError(f"{name} ended with exit code {process.returncode}")
                            time.sleep(0.2)
                    if posts.returncode:
                        raise CommandError(f"replay ended with exit code {posts.returncode}")
        except KeyboardInterrupt:
            print("\nthe board has ended", flush=True)
    return 0


def screenshots(argv: list[str]) -> int:
    """``screenshots FOLDER``: one PNG for each view and scheme; returns the exit code.

    Raises:
        CommandError: a command fails, there is no browser, or the folder cannot be written.
    """
    settings = load(ScreenshotSettings, "python -m deploy.board screenshots", argv)
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise CommandError("screenshots need playwright: pip install 'placestream[test]'") from None
    program = shutil.which(settings.chromium)
    if program is None:
        raise CommandError(f"there is no program {settings.chromium!r} to look with (CHROMIUM)")
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{settings.folder}: {error.strerror}") from None
    _stop_on_signals()
    with (
        tempfile.TemporaryDirectory(prefix="placestream-board-") as temporary,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        dataset = Path(temporary) / "dataset"
        type_command("producer", "topics", *_vectors(settings))
        log = Path(temporary) / "board.log"
        with _started(*_board(settings, 0), log=log) as board:
            url = _address(board, log)
            _shoot(browser, settings.folder, "empty", url)
            _shoot(browser, settings.folder, "search-empty", f"{url}/search")
            if settings.drawn:
                from deploy import drawings

                drawings.write(dataset, 140)
            else:
                type_command("producer", "sample", str(dataset))
            with (
                _started(*_label(settings)),
                _started("consumer", "count", *QUIET),
                _started("producer", "replay", str(dataset), "--rate", "5") as posts,
            ):
                _shoot(browser, settings.folder, "live", url, cards=25)
                posts.wait()
            _shoot(browser, settings.folder, "post", f"{url}/?by=ensemble", opens=".card:not(.open) a", full=True)
            _shoot(browser, settings.folder, "cities", f"{url}/cities?city=london", full=True)
            searched = f"{url}/search?q={'a+bridge+at+night' if settings.drawn else 'a+hot+drink'}"
            _shoot(browser, settings.folder, "search", searched)
            _shoot(browser, settings.folder, "captions", f"{searched}#captions")
            _shoot(browser, settings.folder, "like", searched, opens=".more")
    return 0


def _vectors(settings: VectorsSettings) -> tuple[str, ...]:
    return "--vectors-topic", settings.vectors_topic


def _board(settings: VectorsSettings, port: int) -> tuple[str, ...]:
    shows = ("--captions", "--search", "--encoder", "conse", *_vectors(settings))
    return ("consumer", "board", *shows, "--port", str(port), "--log-level", "warning")


def _label(settings: VectorsSettings) -> tuple[str, ...]:
    return ("consumer", "label", "--encoder", "conse", "--encode-captions", "all", *_vectors(settings), *QUIET)


def _shoot(
    browser: "Browser", folder: Path, name: str, url: str, opens: str | None = None, full: bool = False, cards: int = 0
) -> None:
    for scheme in SCHEMES:
        context = browser.new_context(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url)
        if cards:
            page.locator(".card").nth(cards - 1).wait_for(timeout=120_000)
        if opens:
            page.locator(opens).first.click()
            page.wait_for_url(lambda now: now != url)
        _settled(page)
        path = folder / f"{name}-{scheme}.png"
        page.screenshot(path=path, full_page=full)
        print(path, flush=True)
        context.close()


def _settled(page: "Page") -> None:
    """Wait until every picture in view is there, and the first event has been shown."""
    deadline = time.monotonic() + 30
    while not page.evaluate(ALL_LOADED):  # `wait_for_function` would need what the pages' own policy forbids
        if time.monotonic() > deadline:
            raise CommandError(f"the pictures of {page.url} do not come")
        page.wait_for_timeout(100)
    page.wait_for_timeout(1_200)


def _address(board: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + 60
    while board.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"The board is at (\S+)/ ", log.read_text("utf-8")):
            return found[1]
        time.sleep(0.1)
    raise CommandError(f"the board does not start: {log.read_text('utf-8')}")


@contextmanager
def _started(*command: str, quiet: bool = False, log: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that runs beside the others; it is stopped at the end of the block, and ends when we are killed."""
    if not quiet:
        print(f"\n$ python -m {' '.join(command)}", flush=True)
    output = log.open("wb") if log else subprocess.DEVNULL if quiet else None
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=output, stderr=output)
    watcher = Watcher(signal.SIGTERM)
    watcher.watch(process.pid)
    try:
        yield process
    finally:
        watcher.close()
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _stop_on_signals() -> None:
    """SIGINT, too: whoever was started in the background of a script ignores it otherwise."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


COMMANDS = {
    "show": ("deploy.board:show", "replay in a loop, worker, counter and board, until Ctrl-C"),
    "screenshots": ("deploy.board:screenshots", "write PNGs of the board's pages"),
}


def main(argv: Sequence[str]) -> int:
    """Run the command that `argv` names; returns the exit code."""
    return run("python -m deploy.board", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
