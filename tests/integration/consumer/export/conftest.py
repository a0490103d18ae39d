"""A labelled topic to export: transactions as workers write them, and the command, held or not."""

import base64
import json
import logging
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from kafka import KafkaProducer

from consumer.__main__ import COMMANDS
from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from producer.base.command import run
from tests.conftest import Background, MakeTopics, StartCli, Topics
from tests.labels import golden, labeled


def posts(*numbers: int) -> list[LabeledPost]:
    """Labelled posts whose ids are these numbers."""
    return [labeled(post_id=str(number), city=("newyork", "sydney")[number % 2]) for number in numbers]


@dataclass(frozen=True, slots=True)
class Exporting:
    """Fresh topics of two partitions, and a folder."""

    stack: Stack
    topics: Topics
    folder: Path
    worker: Any
    start_cli: StartCli
    capsys: pytest.CaptureFixture[str]

    def write(self, *numbers: int, partition: int = 0, timestamp: int | None = None, commit: bool = True) -> None:
        """Labelled posts with these ids, in a transaction: with its marker one offset more."""
        self.worker.begin_transaction()
        self.send(self.worker, posts(*numbers), partition, timestamp)
        self.worker.commit_transaction() if commit else self.worker.abort_transaction()

    def write_vectors(self, *numbers: int) -> None:
        """The vectors of posts with these ids, in a transaction of the vectors topic."""
        self.worker.begin_transaction()
        for number in numbers:
            post_id, angle = str(number), number / 10
            image = np.array([np.cos(angle), np.sin(angle)], "<f2").tobytes()
            value = golden("encoded_post")["value"] | {"post_id": post_id, "image": base64.b64encode(image).decode()}
            self.worker.send(self.topics.vectors, json.dumps(value).encode(), post_id.encode(), partition=0)
        self.worker.commit_transaction()

    def send(
        self, producer: Any, labels: Sequence[LabeledPost], partition: int = 0, timestamp: int | None = None
    ) -> None:
        """Send them, and wait until they are in the log."""
        for post in labels:
            producer.send(
                self.topics.output, post.to_value(), post.post_id.encode(), partition=partition, timestamp_ms=timestamp
            )
        producer.flush()

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """The command to its end, in this process: so is a test of several runs over in a second."""
        where = (f"--bootstrap-servers={self.stack.broker.address}", f"--output-topic={self.topics.output}")
        self.capsys.readouterr()
        code = run("python -m consumer", COMMANDS, ["export", *where, *self.flags(*flags)])
        return subprocess.CompletedProcess([], code, *self.capsys.readouterr())

    def start(self, *flags: str, hold: tuple[str, int] = ("finish", 0)) -> Background:
        """The command as a program, held before or after the n-th call of a step until `release` is there."""
        step = (f"consumer.export.write:Unfinished.{hold[0]}", str(hold[1]), str(self.release))
        export = ("consumer", "export", *self.flags(*flags))
        return self.start_cli("tests.integration.hold", *step, *export, env=self.topics.environment)

    @property
    def release(self) -> Path:
        """The file that lets a held command go on."""
        return self.folder.with_name("go on")

    def flags(self, *flags: str) -> list[str]:
        return ["-o", str(self.folder), "--offsets-per-file", "10", *flags]

    def files(self) -> list[str]:
        """Partition, first and last offset of every file, as ``0:0-9``."""
        names = [path.stem.removeprefix(f"{self.topics.output}-").split("-") for path in self.folder.iterdir()]
        return sorted(f"{n[0]}:{int(n[1])}-{int(n[2])}" for n in names if len(n) == 3)

    def ids(self, kind: str = "parquet") -> list[int]:
        """The ids of all rows of all files, sorted."""
        read = {"parquet": "read_parquet", "jsonl": "read_json"}[kind]
        with duckdb.connect() as connection:
            rows = connection.execute(f"select post_id::int from {read}('{self.folder}/*.{kind}') order by 1")
            return [number for (number,) in rows.fetchall()]


@contextmanager
def transactional(stack: Stack) -> Iterator[Any]:
    """A transactional producer; what it leaves open is aborted."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    servers = stack.broker.address
    with closing(KafkaProducer(bootstrap_servers=servers, transactional_id=name, retry_backoff_ms=5)) as producer:
        producer.init_transactions()
        yield producer


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[Any]:
    with transactional(stack) as producer:
        yield producer


@pytest.fixture
def exporting(
    stack: Stack,
    make_topics: MakeTopics,
    tmp_path: Path,
    worker: Any,
    start_cli: StartCli,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Exporting]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Exporting(stack, make_topics(vectors=True), tmp_path / "labels", worker, start_cli, capsys)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("kafka").setLevel(logging.NOTSET)
