import errno
import fcntl
import os
from pathlib import Path

import pytest

from producer.base.disk import locked, to_disk, whole
from producer.base.errors import CommandError


def test_one_process_writes_to_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path, "export"), pytest.raises(CommandError, match="another export"), locked(tmp_path, "export"):
        pass


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path, "export"):
        assert "cannot be locked: run one export at a time" in caplog.text


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EIO, False), (errno.ENOSPC, False)])
def test_only_a_file_system_that_cannot_sync_is_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, passes: bool
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with (tmp_path / "file").open("w") as file:
        if passes:
            to_disk(file)
        else:
            with pytest.raises(OSError, match=os.strerror(number)):
                to_disk(file)


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"second"):
        with whole(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    with pytest.raises(OSError, match="Invalid argument"), whole(path) as file:
        file.truncate(-1)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"second"
