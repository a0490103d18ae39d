import os
import stat
from pathlib import Path

import pytest

from consumer.export.folder import go_on, locked
from consumer.export.settings import ExportSettings
from consumer.export.write import UNFINISHED
from consumer.vector_table import ABOUT
from producer.base.errors import CommandError, UsageError
from producer.base.settings import load


def settings(folder: Path, *flags: str) -> ExportSettings:
    return load(ExportSettings, "x", ["-o", str(folder), *flags])


def test_the_short_flag_and_the_long_one_are_one_setting(tmp_path: Path) -> None:
    assert settings(tmp_path) == load(ExportSettings, "x", ["--folder", str(tmp_path)])


def test_a_folder_goes_on_as_what_it_was_begun(tmp_path: Path) -> None:
    begun = go_on(settings(tmp_path, "--since", "2026-11-24"), "id")

    assert go_on(settings(tmp_path), "id") == begun
    assert go_on(settings(tmp_path, "--since", "2026-11-24T01:00:00+01:00"), "id") == begun
    assert begun.since is not None
    assert begun.since.isoformat() == "2026-11-24T00:00:00+00:00"


@pytest.mark.parametrize(
    ("flags", "topic_id", "why"),
    [
        (["--output-topic", "other"], "id", "holds the labels of labeled-posts as parquet"),
        (["--format", "jsonl"], "id", "holds the labels of labeled-posts as parquet"),
        (["--vectors-topic", "v"], "id", "holds the labels of labeled-posts"),
        ([], "another", "of an earlier topic labeled-posts"),
        (["--since", "2026-11-25"], "id", "was begun without --since"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path: Path, flags: list[str], topic_id: str, why: str) -> None:
    go_on(settings(tmp_path), "id")

    with pytest.raises(UsageError, match=why):
        go_on(settings(tmp_path, *flags), topic_id)


def test_files_of_which_nobody_knows_what_they_are_of_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labeled-posts-0-000000000000-000000000009.parquet").touch()

    with pytest.raises(UsageError, match=f"no {ABOUT}"):
        go_on(settings(tmp_path), "id")


def test_a_broken_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / ABOUT).write_text("{")

    with pytest.raises(UsageError, match="cannot be read"):
        go_on(settings(tmp_path), "id")


def test_the_description_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bytes]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            (name,) = os.listdir(tmp_path)
            synced.append((name, (tmp_path / name).read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    go_on(settings(tmp_path), "id")

    assert synced == [(UNFINISHED, (tmp_path / ABOUT).read_bytes())]


def test_only_one_export_writes_to_a_folder(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "new" / "one"),
        pytest.raises(CommandError, match="another export"),
        locked(tmp_path / "new" / "one"),
    ):
        pass
    with locked(tmp_path / "new" / "one"):
        pass


def test_what_a_killed_export_left_unfinished_goes(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).touch()

    with locked(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match="FOLDER .* cannot be used"), locked(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--since", "yesterday"], "SINCE"),
        (["--format", "csv"], "FORMAT"),
        (["--offsets-per-file", "0"], "OFFSETS"),
        (["--vectors-topic", "v", "--format", "jsonl"], "--format jsonl: vectors are written as parquet only"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, flags: list[str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        settings(tmp_path, *flags)


def test_the_workers_variable_makes_no_export_of_labels_one_of_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACESTREAM_VECTORS_TOPIC", "post-vectors")

    assert (settings(tmp_path).contents, settings(tmp_path).topic) == ("labels", "labeled-posts")
    asked = settings(tmp_path, "--vectors-topic", "v")
    assert (asked.contents, asked.topic) == ("vectors", "v")


def test_a_folder_is_needed() -> None:
    with pytest.raises(UsageError, match="FOLDER"):
        load(ExportSettings, "x", [])
