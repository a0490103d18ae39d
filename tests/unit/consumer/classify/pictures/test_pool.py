import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from consumer.classify.pictures import pool as module
from consumer.classify.pictures.decode import (
    DecodeFailed,
    ImageTooLarge,
    NotAnImage,
    PictureError,
    PictureLimits,
    TruncatedImage,
    decode,
)
from consumer.classify.pictures.pool import DecoderProcess, Decoders, Levels
from consumer.classify.pictures.process import ANSWER
from producer.base.errors import CommandError
from tests import attacks
from tests.conftest import wait_until
from tests.unit.consumer.classify.photos import encoded, photo, plain

LIMITS = PictureLimits()
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


@pytest.fixture
def pool() -> Iterator[Decoders]:
    pool = Decoders(LIMITS)
    yield pool
    pool.close()


def process_of(pool: Decoders) -> DecoderProcess:
    pool.one(plain("red"))  # it is ready then
    (process,) = pool._idle
    return process


def test_pictures_come_back_as_they_were_decoded_in_their_order(pool: Decoders) -> None:
    pictures = [encoded(photo(seed=seed), "JPEG") for seed in range(5)] + [plain("red", "WEBP", (700, 500))]
    for levels, picture in zip(pool.each(pictures), pictures, strict=True):
        assert isinstance(levels, np.ndarray)
        assert np.array_equal(levels, decode(picture, LIMITS))


def test_what_cannot_be_used_has_its_own_error_and_its_neighbours_have_theirs(pool: Decoders) -> None:
    outcomes = list(pool.each([plain("red"), b"no picture", attacks.tall_png(40_000), plain("blue")]))
    assert [type(outcome) for outcome in outcomes] == [np.ndarray, NotAnImage, ImageTooLarge, np.ndarray]
    assert str(outcomes[1]) == "10 bytes that are no JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM or AVIF"
    with pytest.raises(NotAnImage):
        pool.one(b"no picture")


def test_a_picture_that_takes_too_long_fails_and_its_neighbours_do_not() -> None:
    slow = attacks.jpeg_of_many_scans(90, 7_000)  # it takes seconds on any machine
    pool = Decoders(PictureLimits(timeout=0.2))
    before, failed, after = pool.each([plain("red"), slow, plain("blue")])
    pool.close()
    assert isinstance(failed, DecodeFailed)
    assert str(failed) == ("tried 3 times, the last time alone: it took more than 0.2 s of CPU time (DECODE_TIMEOUT)")
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)


@pytest.mark.slow
@LINUX
def test_a_picture_that_takes_too_much_memory_fails(
    pool: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = tmp_path / "python"
    shell.write_text(f'#!/bin/sh\nulimit -v 350000\nexec {sys.executable} "$@"\n')
    shell.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(shell))
    with pytest.raises(DecodeFailed, match=r"it took more than \d+ MiB$"):
        pool.one(attacks.tall_png(9_000, 5_000))
    assert pool.one(plain("red")).shape == (6, 8, 3)


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_picture_whose_process_is_killed_once_or_twice_is_decoded_all_the_same(
    deaths: int, pool: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(deaths, monkeypatch)
    assert all(isinstance(outcome, np.ndarray) for outcome in pool.each([plain("red"), plain("blue")]))


def test_the_third_death_is_the_picture_s_own(pool: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    die(3, monkeypatch)
    failed, after = pool.each([plain("red"), plain("blue")])
    assert str(failed) == "tried 3 times, the last time alone: its process ended with SIGKILL"
    assert isinstance(after, np.ndarray)


def die(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the process so often, as soon as it is ready and before it is given its pictures."""
    handing_over = DecoderProcess.decode
    left = [None] * times

    def decode(process: DecoderProcess, pictures: Sequence[bytes]) -> Iterator[Levels | PictureError]:
        list(handing_over(process, []))
        if left:
            left.pop()
            process._process.kill()
        yield from handing_over(process, pictures)

    monkeypatch.setattr(DecoderProcess, "decode", decode)


def test_a_process_that_stands_still_is_replaced(pool: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    process = process_of(pool)
    process._process.send_signal(signal.SIGSTOP)
    waiting, overdue = module._wait, [None]

    def wait(pipe: int, event: int) -> None:
        if overdue and event == select.POLLIN:
            overdue.pop()
            raise TimeoutError
        waiting(pipe, event)

    monkeypatch.setattr(module, "_wait", wait)
    assert isinstance(pool.one(plain("red")), np.ndarray)
    assert process._process.returncode == -signal.SIGKILL


def test_a_process_whose_answers_nobody_took_is_not_used_again(pool: Decoders) -> None:
    process = process_of(pool)
    outcomes = pool.each([plain("red"), plain("blue")])
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]  # it is a generator
    assert process._process.returncode == -signal.SIGKILL
    assert pool.one(plain("lime"))[0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    "answer", [(b"", 100_000, 100_000, 0), (b"NotAnImage", 0, 0, 2**32 - 1)], ids=["levels", "message"]
)
def test_an_answer_that_no_picture_has_is_not_waited_for(
    answer: tuple[bytes, int, int, int], pool: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, forged = DecoderProcess._receive, ANSWER.pack(*answer)

    def forge(process: DecoderProcess, size: int) -> Levels:
        return np.frombuffer(forged, np.uint8) if size == ANSWER.size else receive(process, size)

    monkeypatch.setattr(DecoderProcess, "_receive", forge)
    with pytest.raises(DecodeFailed, match="the last time alone: its answer is of "):
        pool.one(plain("red"))


def test_a_process_is_free_again_with_its_last_answer(pool: Decoders) -> None:
    process = process_of(pool)
    outcomes = pool.each([plain("red"), plain("blue")])
    next(outcomes), next(outcomes)
    assert list(pool._idle) == [process]


def test_processes_that_do_not_start_are_one_line(pool: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CommandError, match="^decoder processes do not start: its process ended with exit code 1$"):
        pool.one(plain("red"))


def test_after_a_fork_the_parent_s_processes_are_left_alone(pool: Decoders) -> None:
    process = process_of(pool)
    pool._owner = os.getpid() + 1  # as if this were its child
    pool.one(plain("red"))
    assert process not in pool._idle
    assert process._process.poll() is None
    process.end()


def test_of_processes_that_do_not_start_the_last_line_is_said_and_nothing_printed(
    pool: Decoders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'Traceback:' >&2\necho 'ImportError: no Pillow' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(CommandError, match="its process ended with exit code 1: ImportError: no Pillow$"):
        pool.one(plain("red"))
    assert capfd.readouterr() == ("", "")


def test_pictures_that_are_cut_to_their_rows_are_counted(pool: Decoders) -> None:
    cut: list[None] = []
    pool.on_cut = lambda: cut.append(None)
    data = encoded(photo(320, 480), "JPEG")
    whole, without_end, of_fewer_rows, half = pool.each([data, data[:-2], data[:-150], data[: len(data) // 2]])
    assert isinstance(of_fewer_rows, np.ndarray)
    assert np.array_equal(without_end, whole)  # type: ignore[arg-type]  # both are levels
    assert isinstance(half, TruncatedImage)
    assert len(cut) == 1


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize(
    ("mode", "picture_format", "options", "missing"),
    [("CMYK", "JPEG", {"progressive": True, "subsampling": 0}, 2), ("RGBA", "PNG", {"compress_level": 1}, 18)],
)
def test_a_large_picture_that_ends_early_fits_into_the_memory(
    mode: str, picture_format: str, options: dict[str, Any], missing: int
) -> None:
    limits = PictureLimits(max_pixels=5_000 * 5_000, timeout=600)
    pool = Decoders(limits)
    data = encoded(Image.new(mode, (5_000, 5_000), (10, 20, 30, 255)), picture_format, **options)
    assert pool.one(data[:-missing]).shape == (5_000, 5_000, 3)
    pool.close()


@LINUX
def test_a_process_has_no_secret_and_no_connection(pool: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_SASL_PASSWORD", "secret")
    proc = Path(f"/proc/{process_of(pool)._process.pid}")
    assert b"secret" not in (proc / "environ").read_bytes()
    opened = {path.name: str(path.readlink()).partition(":")[0] for path in (proc / "fd").iterdir()}
    assert opened == {"0": "pipe", "1": os.devnull, "2": os.devnull, "3": "pipe"}
    loaded = (proc / "maps").read_text()
    assert "torch" not in loaded
    assert "libgomp" not in loaded


@pytest.mark.slow
@LINUX
def test_processes_end_with_the_program_however_it_ends() -> None:
    code = (
        "import time\n"
        "from consumer.classify.pictures.decode import PictureLimits\n"
        "from consumer.classify.pictures.pool import Decoders\n"
        "pool = Decoders(PictureLimits()); pool.start(2)\n"
        "print(*[each._process.pid for each in pool._idle], flush=True); time.sleep(3600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        decoders = [Path(f"/proc/{pid}") for pid in program.stdout.readline().split()]
        assert len(decoders) == 2
        program.kill()
    wait_until(lambda: not any(path.exists() for path in decoders), what="the end of the decoders")


def test_what_a_picture_makes_libraries_say_is_not_printed(pool: Decoders, capfd: pytest.CaptureFixture[str]) -> None:
    tiff = bytearray(encoded(photo(), "TIFF", compression="tiff_lzw"))
    tiff[100:200] = bytes(range(100, 200))
    with pytest.raises(TruncatedImage):
        pool.one(bytes(tiff))
    pool.one(encoded(photo(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff garbage"))
    assert capfd.readouterr() == ("", "")


def test_programs_share_their_processes() -> None:
    assert module.decoders(LIMITS) is module.decoders(PictureLimits())
    assert module.decoders(LIMITS) is not module.decoders(PictureLimits(timeout=1))
