"""The decoder process: encoded pictures in, levels out, through two pipes. See `pool.py` for who asks, and why.

It imports Pillow and NumPy alone, holds no secret and no connection, and ends when its pipes do. The kernel ends it
where a picture takes too long, and lets it have no more memory than the limits need.
"""

import json
import os
import resource
import signal
import struct
import sys
from typing import BinaryIO

from consumer.classify.pictures.decode import PictureError, PictureLimits, decode

READY = b"\n"
"""The first answer, of none."""
CHUNK = struct.Struct("!I")
"""Before a chunk of pictures: how many there are."""
PICTURE = struct.Struct("!I")
"""Before a picture: its bytes."""
ANSWER = struct.Struct("!30sIII")
"""Of each picture: name of a `PictureError` or nothing; height and width; bytes of the error's message, or 1
where the picture was cut to the rows that are there. Then follow the levels, or the message."""
LONGEST_MESSAGE = 1_000
"""Bytes."""

OUT_OF_MEMORY = 86
"""Exit code."""
BYTES_PER_PIXEL = 17
"""Memory for a decoded picture, its bands and the decoder's own: a WebP with an alpha channel needs most."""
MEMORY_BESIDES = 128 * 2**20
"""Bytes: of the encoded pictures of a chunk, and the interpreter's."""


def main() -> None:
    """Answer until the pipe ends."""
    limits = PictureLimits(**json.loads(sys.argv[1]))
    pictures = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as answers:
        _restrict(limits)
        answers.write(READY)
        answers.flush()
        while header := pictures.read(CHUNK.size):
            for data in [_read_picture(pictures) for _ in range(CHUNK.unpack(header)[0])]:
                signal.setitimer(signal.ITIMER_PROF, limits.timeout)  # in CPU time; then SIGPROF ends this process
                _answer(answers, data, limits)
                answers.flush()
            signal.setitimer(signal.ITIMER_PROF, 0)


def memory(limits: PictureLimits) -> int:
    """Bytes that a decoder process may take beside its programs."""
    return BYTES_PER_PIXEL * limits.max_pixels + MEMORY_BESIDES


def _restrict(limits: PictureLimits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS does not limit it
        with open("/proc/self/statm") as file:
            most = int(file.read().split()[0]) * resource.getpagesize() + memory(limits)
        before = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = most if before == resource.RLIM_INFINITY else min(most, before)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with open(os.devnull, "wb") as nowhere:
        for printed in (1, 2):  # libraries warn there of each oddity of a picture
            os.dup2(nowhere.fileno(), printed)


def _read_picture(pictures: BinaryIO) -> bytes:
    return pictures.read(PICTURE.unpack(pictures.read(PICTURE.size))[0])


def _answer(answers: BinaryIO, data: bytes, limits: PictureLimits) -> None:
    cuts: list[None] = []
    try:
        levels = decode(data, limits, on_cut=lambda: cuts.append(None))
    except PictureError as error:
        message = str(error).encode(errors="replace")[:LONGEST_MESSAGE]
        answers.write(ANSWER.pack(type(error).__name__.encode(), 0, 0, len(message)) + message)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    else:
        answers.write(ANSWER.pack(b"", *levels.shape[:2], len(cuts)))
        answers.write(levels.data)


if __name__ == "__main__":
    main()
