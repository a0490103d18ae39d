"""`export` on a real broker: each committed label in one file, however often it runs and whenever it is killed."""

import errno
import json
import os
import runpy
import signal
from dataclasses import replace

import pandas as pd
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from tests.conftest import ROOT
from tests.integration.consumer.export.conftest import Exporting, posts, transactional
from tests.wire import recreate, write


def test_each_run_goes_on_where_the_last_one_ended_and_changes_no_file(exporting: Exporting) -> None:
    exporting.write(*range(12))  # offsets 0-11, and the transaction's marker
    exporting.write(100, 101, partition=1)

    first = exporting.run()
    found = {path.name: path.read_bytes() for path in exporting.folder.iterdir()}
    again = exporting.run()
    exporting.write(*range(12, 20))  # 13-20
    third = exporting.run()

    assert first.stdout == f"14 labelled posts of {exporting.topics.output} in 3 new files in {exporting.folder}\n"
    assert (again.returncode, again.stdout[:15]) == (0, "0 labelled post")
    assert third.stdout.startswith("8 labelled posts")
    assert exporting.files() == ["0:0-9", "0:10-12", "0:13-19", "0:20-21", "1:0-2"]
    assert exporting.ids() == [*range(20), 100, 101]
    assert found == {name: (exporting.folder / name).read_bytes() for name in found}


def test_aborted_labels_are_in_no_file_and_gaps_are_covered(exporting: Exporting) -> None:
    exporting.write(0, 1)  # 0-1, marker 2
    exporting.write(*range(50, 85), commit=False)  # 3-37, marker 38
    exporting.write(2)  # 39, marker 40
    exporting.write(90, commit=False)  # 41, marker 42

    assert exporting.run().returncode == 0
    assert exporting.ids() == [0, 1, 2]
    assert exporting.files() == ["0:0-9", "0:10-39"]  # nothing in 40-42: it is part of a later file
    exporting.write(3)  # 43
    assert exporting.run().returncode == 0
    assert exporting.ids() == [0, 1, 2, 3]
    assert exporting.files() == ["0:0-9", "0:10-39", "0:40-44"]


@pytest.mark.parametrize("hold", [("add", 2), ("finish", 2), ("after_finish", 2)], ids=["write", "name", "next"])
def test_a_run_after_kill_9_doubles_nothing(exporting: Exporting, hold: tuple[str, int]) -> None:
    exporting.write(*range(35))
    killed = exporting.start(hold=hold)
    killed.wait_for_output("held")
    killed.end(signal.SIGKILL)
    kept = {path.name: path.stat().st_ino for path in exporting.folder.glob("*.parquet")}
    exporting.write(*range(35, 40))

    again = exporting.run()

    assert (again.returncode, again.stderr) == (0, "")
    assert exporting.ids() == list(range(40))
    assert kept.items() <= {path.name: path.stat().st_ino for path in exporting.folder.iterdir()}.items()
    assert [path.name for path in exporting.folder.glob(".*")] == []


def test_an_open_transaction_is_waited_for_and_what_lies_behind_it_comes(exporting: Exporting) -> None:
    exporting.write(0)
    with transactional(exporting.stack) as other:
        other.begin_transaction()
        exporting.send(other, posts(1))
        exporting.write(2)
        running = exporting.start()
        running.wait_for_output("a producer's transaction is open")
        other.abort_transaction()

    assert running.wait() == 0, running.output
    assert exporting.ids() == [0, 2]


def test_it_ends_where_the_topic_ended_at_its_start(exporting: Exporting) -> None:
    exporting.write(*range(15))
    running = exporting.start(hold=("finish", 1))
    running.wait_for_output("held")
    exporting.write(*range(15, 30))
    exporting.release.touch()

    assert running.wait() == 0, running.output
    assert exporting.ids() == list(range(15))


def test_what_is_no_labelled_post_is_said_counted_and_passed_over(exporting: Exporting) -> None:
    exporting.write(0)
    write(exporting.stack, exporting.topics.output, [(b"x", b"no label", []), (b"y", None, [])])
    exporting.write(1)

    ended = exporting.run("--format", "jsonl")

    assert ended.returncode == 0
    assert ended.stdout.strip().endswith("; 2 records that are no labelled post were passed over")
    assert ended.stderr.count("no labelled post; passed over") == 2
    assert "partition=0 offset=2" in ended.stderr
    assert exporting.ids("jsonl") == [0, 1]


def test_since_leaves_out_what_was_written_before(exporting: Exporting) -> None:
    day = 24 * 3600 * 1000
    november = 1_764_547_200_000 - 30 * day  # 2025-11-01
    exporting.write(0, timestamp=november)
    exporting.write(1, timestamp=november + 2 * day)
    exporting.write(2, timestamp=november + day // 2)  # out of order: a clock that is behind
    exporting.write(3, timestamp=november + 3 * day)
    exporting.write(4, partition=1, timestamp=november)

    first = exporting.run("--since", "2025-11-02T00:00:00Z")
    exporting.write(5, partition=1, timestamp=november + 4 * day)
    second = exporting.run()

    assert (first.returncode, second.returncode) == (0, 0)
    assert exporting.ids() == [1, 3, 5]
    refused = exporting.run("--since", "2025-11-03")
    assert refused.returncode == 2
    assert "was begun with --since 2025-11-02T00:00:00.000Z" in refused.stderr


def test_both_kinds_of_files_have_the_same_rows(exporting: Exporting) -> None:
    exporting.write(0, 1, 2)
    assert exporting.run().returncode == 0
    parquet = pd.read_parquet(exporting.folder)
    other = replace(exporting, folder=exporting.folder.with_name("lines"))
    assert other.run("--format", "jsonl").returncode == 0

    found = [json.loads(line) for path in other.folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    assert [row["post_id"] for row in found] == list(parquet["post_id"]) == ["0", "1", "2"]
    assert [row["offset"] for row in found] == list(parquet["offset"]) == [0, 1, 2]
    assert {row["topic"] for row in found} == {exporting.topics.output}
    assert str(parquet["created_at"].dtype) == "datetime64[ms, UTC]"
    assert list(parquet.columns) == list(found[0])


def test_vectors_are_exported_as_labels_are(exporting: Exporting) -> None:
    topic = exporting.topics.vectors
    exporting.write_vectors(*range(12))

    first = exporting.run("--vectors-topic", str(topic))
    exporting.write_vectors(12)
    write(exporting.stack, str(topic), [(b"x", b"no vectors", [])])
    second = exporting.run("--vectors-topic", str(topic))

    assert first.stdout == f"12 encoded posts of {topic} in 2 new files in {exporting.folder}\n"
    assert second.stdout.startswith(f"1 encoded post of {topic} in 1 new file")
    assert second.stdout.endswith("; 1 records that are no encoded post were passed over\n")
    assert "no encoded post; passed over" in second.stderr
    assert exporting.ids() == list(range(13))
    found = pd.read_parquet(exporting.folder).set_index("post_id")
    assert len({len(vector) for vector in found["image"]}) == 1
    assert found["image"]["3"].tolist() == pytest.approx([0.955, 0.296], abs=1e-3)
    refused = exporting.run()
    assert (refused.returncode, "holds the vectors of" in refused.stderr) == (2, True)


def test_a_topic_that_was_recreated_needs_another_folder(exporting: Exporting, admin: KafkaAdminClient) -> None:
    exporting.write(0)
    assert exporting.run().returncode == 0
    recreate(admin, exporting.topics.output)

    ended = exporting.run()

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "which was recreated since: take another folder" in ended.stderr


def test_labels_that_expired_between_two_runs_are_said(exporting: Exporting, admin: KafkaAdminClient) -> None:
    exporting.write(0)
    assert exporting.run().returncode == 0
    exporting.write(1, 2, 3, 4)
    admin.delete_records({TopicPartition(exporting.topics.output, 0): 4})

    ended = exporting.run()

    assert "labelled posts expired before they were exported" in ended.stderr
    assert "partition=0 exported_to=2 earliest=4 passed=2" in ended.stderr
    assert exporting.ids() == [0, 3, 4]
    assert exporting.files() == ["0:0-1", "0:4-6"]


def test_labels_that_expired_before_the_first_run_are_said(exporting: Exporting, admin: KafkaAdminClient) -> None:
    exporting.write(0, 1, 2, 3)
    admin.delete_records({TopicPartition(exporting.topics.output, 0): 3})

    ended = exporting.run()

    assert ended.returncode == 0
    assert ended.stderr.count("labelled posts expired before they were exported") == 1
    assert "partition=0 exported_to=0 earliest=3 passed=3" in ended.stderr
    assert exporting.ids() == [3]


def test_a_topic_that_does_not_exist_and_a_folder_that_cannot_be_written_are_one_line(exporting: Exporting) -> None:
    missing = exporting.run("--output-topic", "mistyped")
    exporting.folder.rmdir()
    exporting.folder.touch()
    no_folder = exporting.run()

    for ended, says in ((missing, "topic mistyped does not exist"), (no_folder, "FOLDER")):
        assert ended.returncode == 1
        assert says in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_disk_that_is_full_is_one_line_and_the_next_run_goes_on(
    exporting: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    exporting.write(0, 1)
    assert exporting.run().returncode == 0
    exporting.write(2)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        ended = exporting.run()

    assert ended.returncode == 1
    assert "cannot be written: No space left on device" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in exporting.folder.glob(".*")] == []
    assert exporting.run().returncode == 0
    assert exporting.ids() == [0, 1, 2]


def test_two_exports_into_one_folder_are_refused(exporting: Exporting) -> None:
    exporting.write(0)
    held = exporting.start(hold=("add", 1))
    held.wait_for_output("held")

    ended = exporting.run()

    assert ended.returncode == 1
    assert "another export writes to" in ended.stderr


def test_the_examples_run(
    exporting: Exporting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exporting.write(*range(7))
    exporting.write_vectors(*range(7))
    assert exporting.run().returncode == 0
    of_vectors = replace(exporting, folder=exporting.folder.with_name("vectors"))
    assert of_vectors.run("--vectors-topic", str(exporting.topics.vectors)).returncode == 0
    monkeypatch.chdir(exporting.folder.parent)  # the folders' names are the examples'

    said = {}
    for example in sorted((ROOT / "deploy" / "contracts" / "examples").glob("*.py")):
        runpy.run_path(str(example))
        said[example.stem] = capsys.readouterr().out

    assert set(said) == {"nearest_in_duckdb", "with_duckdb", "with_pandas"}
    likest = [line.split("│")[1].strip() for line in said["nearest_in_duckdb"].splitlines() if "newyork" in line]
    assert likest == ["0", "1", "2", "3", "4"]
    assert all(line in said["with_pandas"] for line in ("newyork  bridge    1.0", "sydney   bridge    1.0"))
    assert "newyork │ bridge" in said["with_duckdb"]
    assert "viaduct" in said["with_duckdb"]
