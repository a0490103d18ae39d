"""Folders that one process writes to, and files that are whole or not there, as far as the file system can do that."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

CANNOT = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP}
"""How file systems, most of them over a network, say that they have no locks or no fsync of folders."""


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Keep other processes from the same; the lock goes with the process, however that ends.

    Args:
        folder: is there.
        doing: what one process does there at a time.

    Raises:
        CommandError: another one does it.
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"another {doing} writes to {folder}") from None
        except OSError as error:
            if error.errno not in CANNOT:
                raise
            why = error.strerror
            event(log, logging.WARNING, f"cannot be locked: run one {doing} at a time", folder=folder, why=why)
        yield
    finally:
        os.close(descriptor)


def to_disk(file: IO[Any]) -> None:
    """Wait until what was written to an open file is on the disk.

    Raises:
        OSError: the disk is full or broken.
    """
    file.flush()
    _sync(file.fileno())


@contextmanager
def whole(path: Path, mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """A file that has its name, on the disk, once the block has ended well; otherwise it is not there.

    Args:
        path: what it is called then; one of that name is replaced. What a killed process left beside it as well.
        mode: as `open` takes it.
        options: likewise.

    Raises:
        OSError: the disk is full or broken.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        with beside.open(mode, **options) as file:
            yield file
            put_in_place(file, path)
    finally:
        beside.unlink(missing_ok=True)


def put_in_place(unfinished: IO[Any], path: Path) -> None:
    """Close a file that is whole and give it its name, both on the disk: a power cut takes neither alone.

    Args:
        unfinished: open for writing, beside `path`.
        path: what it is called then; one of that name is replaced.

    Raises:
        OSError: the disk is full or broken.
    """
    to_disk(unfinished)
    unfinished.close()
    os.replace(unfinished.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        _sync(folder)
    finally:
        os.close(folder)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
