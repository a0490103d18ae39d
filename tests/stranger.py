"""What a stranger may send, at full size, to a worker with default settings: `make attacks`.

A broker and a Redis of its own. Each attack lies between two good posts: all three come out, the culprit as a dead
letter, of the same worker, within the memory that its manifest allows. Then damaged pictures and records for as long
as one likes, and a new city for each of 100,000 posts. Exit code 1 when something is not as it should be. Memory is
read from /proc: Linux only.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from consumer.dead_letter import REASON
from deploy.local.process import free_ports
from deploy.local.stack import Stack
from producer.topics import CreateSettings, create_topics
from tests import attacks
from tests.batches import batch, bomb, produce, record
from tests.conftest import Background, StartCli, Topics, background, clean_environment, wait_until
from tests.labels import labeled
from tests.processes import children
from tests.prometheus import Prometheus
from tests.unit.deploy.manifests import base, container, find
from tests.wire import picture, post, write

TOPICS = Topics("posts", "labeled-posts", "posts-dlt", 1)
CITY = [(b"city", b"london")]
CITIES = 100_000
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP", "PPM")
LAG, DEAD = "placestream_consumer_lag_records", "placestream_dead_letters_total"
ALERTS = {"HarmfulRecord", "DeadLetterFlood", "DeadLetterRatio", "FirstDeadLetter", "CitiesCapped"}
"""Those that are to be sent, and may be: of posts that could have done harm, of a flood of dead ones, of the cities."""
MUST_FIRE = {"HarmfulRecord", "FirstDeadLetter", "CitiesCapped"}


@dataclass(frozen=True, slots=True)
class Attack:
    """What is sent, and what may become of it.

    Attributes:
        make: the batch.
        reasons: of its dead letters.
        culprits: records in it.
        may_be_labelled: on a quick machine it is.
    """

    make: Callable[[], bytes]
    reasons: tuple[str, ...]
    culprits: int = 1
    may_be_labelled: bool = False


def pictures(data: bytes, number: int = 1) -> bytes:
    return batch([record(delta, b"bad", data, CITY) for delta in range(number)], number)


def packed(records: Iterable[bytes], codec: str) -> bytes:
    return batch(records, 1, codec)


MUCH, LARGE, SLOW = ("record_too_large",), ("image_too_large",), ("decode_failed",)
ATTACKS = {
    "17 MB of zeros, gzip": Attack(lambda: packed(bomb(0, b"bad", 17 * 10**6, CITY), "gzip"), MUCH),
    "600 MB of zeros, zstd": Attack(lambda: packed(bomb(0, b"bad", 600 * 10**6, CITY), "zstd"), MUCH),
    "10,000,000 headers, zstd": Attack(
        lambda: packed([record(0, b"bad", b"x", [(b"", None)] * 10_000_000)], "zstd"), MUCH
    ),
    "PNG of 1 x 50,000,000": Attack(lambda: pictures(attacks.tall_png(50_000_000)), LARGE),
    "JPEG with 70,000 scans": Attack(lambda: pictures(attacks.jpeg_of_many_scans(70_000, 7_000)), LARGE),
    "JPEG with 860,000 segments": Attack(lambda: pictures(attacks.jpeg_of_many_segments(860_000)), LARGE),
    "PNG with 60,000 chunks": Attack(lambda: pictures(attacks.png_of_many_chunks(60_000)), LARGE),
    "GIF with 60,000 blocks": Attack(lambda: pictures(attacks.gif_of_a_long_comment(60_000)), LARGE),
    "8 PNGs of 49 million pixels": Attack(lambda: pictures(attacks.tall_png(7_000, 7_000), 8), SLOW, 8, True),
    "8 JPEGs of as many, 90 scans": Attack(lambda: pictures(attacks.jpeg_of_many_scans(90, 7_000), 8), SLOW, 8, True),
}


@dataclass(slots=True)
class Watch:
    """What a worker shows while it is attacked: MiB that it and its children hold, and its lag, both at most."""

    worker: Background
    memory: float = 0.0
    lag: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again; fail when the lag is not shown."""
        with ThreadPoolExecutor(1) as thread:
            watch = thread.submit(self._watch)
            try:
                yield
            finally:
                self._stop.set()
            watch.result()

    def _watch(self) -> None:
        pid = self.worker.process.pid
        while not self._stop.wait(0.2):
            self.memory = max(self.memory, sum(map(proportional, [pid, *children(pid)])))
            lag = [sample.value for sample in scraped(self.worker) if sample.name == LAG]
            assert lag, "the lag is not shown"
            self.lag = max(self.lag, sum(lag))


def scraped(worker: Background) -> Iterator[Any]:
    """What its metrics say."""
    address = worker.output.partition("address=")[2].split()[0]
    with urllib.request.urlopen(address, timeout=60) as answer:
        for family in text_string_to_metric_families(answer.read().decode()):
            yield from family.samples


def proportional(pid: int) -> float:
    """Memory of a process in MiB, its part of what it shares."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


@dataclass(slots=True)
class Range:
    """A worker, and what comes out of it."""

    stack: Stack
    worker: Background
    outputs: KafkaConsumer
    labels: list[bytes] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    def attack(self, name: str, attack: Attack, data: bytes) -> tuple[list[str], float, Watch]:
        """Send it between two good posts, and wait for what comes out: reasons, seconds, and what it took."""
        watch, began = Watch(self.worker), time.monotonic()
        labels, dead = len(self.labels), len(self.dead)
        with watch.watching():
            write(self.stack, TOPICS.input, [post(f"before {name}")])
            error = produce(self.stack, TOPICS.input, data)
            assert error == 0, f"{name}: the broker refuses it with error {error}"
            write(self.stack, TOPICS.input, [post(f"after {name}")])
            self.wait(labels + dead + 2 + attack.culprits)
        reasons = self.dead[dead:]
        assert {f"before {name}".encode(), f"after {name}".encode()} <= set(self.labels[labels:])
        assert set(reasons) <= set(attack.reasons), f"{name}: {reasons}"
        assert attack.may_be_labelled or len(reasons) == attack.culprits, f"{name}: {reasons}"
        counted = sum(each.value for each in scraped(self.worker) if each.name == DEAD)
        assert counted == len(self.dead), f"{name}: {counted} dead letters are counted, {len(self.dead)} there"
        return reasons, time.monotonic() - began, watch

    def wait(self, number: int) -> None:
        """Wait until so many labels and dead letters have come out, and no more."""

        def all_out() -> bool:
            assert self.worker.process.poll() is None, self.worker.output[-3000:]
            for records in self.outputs.poll(timeout_ms=200).values():
                for each in records:
                    if each.topic == TOPICS.output:
                        self.labels.append(each.key)
                    else:
                        self.dead.append(dict(each.headers)[REASON].decode())
            return len(self.labels) + len(self.dead) >= number

        wait_until(all_out, what=f"{number} labels and dead letters")
        assert len(self.labels) + len(self.dead) == number


def fuzz(target: Range, seconds: float, seed: int) -> int:
    """Send damaged posts for so long; how many. Each comes out once, whatever it is."""
    chance, sent, until = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        out = len(target.labels) + len(target.dead)
        sent_now = [attacks.damaged(chance, picture(kind=chance.choice(KINDS), size=64)) for _ in range(500)]
        write(target.stack, TOPICS.input, sent_now)
        target.wait(out + 500)
        sent += 500
    return sent


def invent_cities(stack: Stack, start: StartCli, port: int) -> dict[str, float]:
    """Count posts of a new city each; seconds and keys that it takes."""
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address, linger_ms=20)) as producer:
        for number in range(CITIES):
            value = labeled(city=f"city {number}", post_id=str(number)).to_value()
            producer.send(TOPICS.output, value, str(number).encode())
        producer.flush()
    took = {}
    for name, arguments in {"count": ("--stop-at-end", "--metrics-port", str(port)), "popularity": ("--json",)}.items():
        began = time.monotonic()
        command = start("consumer", name, *arguments)
        assert command.wait() == 0, command.output[-3000:]
        took[f"seconds of {name}"] = time.monotonic() - began
    with redis.Redis.from_url(stack.redis.url) as client:
        took["Redis keys"] = float(client.dbsize())
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="of damaged pictures and records")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of what is damaged")
    given = parser.parse_args()
    limits = container(find(base(), "StatefulSet"))["resources"]["limits"]
    allowed = 1024 * float(limits["memory"].removesuffix("Gi"))
    console = Console()
    table = Table("attack", "bytes", "outcome", "seconds", "MiB", "lag", title="A stranger's attacks")
    with (
        Stack() as stack,
        tempfile.TemporaryDirectory() as scratch,
        background(Path(scratch), clean_environment() | stack.environment) as start,
        alerting(Path(scratch)) as prometheus,
    ):
        ports = dict(zip(("label", "count"), free_ports(2), strict=True))
        if prometheus:
            for job, port in ports.items():
                prometheus.watch(job, port)
        settings = CreateSettings.model_validate({"bootstrap_servers": stack.broker.address, "partitions": 1})
        create_topics(settings)
        worker = start(
            "consumer", "label", "--encoder", "conse", "--replica", "target", f"--metrics-port={ports['label']}"
        )
        outputs = KafkaConsumer(
            bootstrap_servers=stack.broker.address,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        with closing(outputs):
            outputs.assign([TopicPartition(topic, 0) for topic in (TOPICS.output, TOPICS.dead_letter)])
            worker.wait_for_output(" joined ")
            target = Range(stack, worker, outputs)
            write(stack, TOPICS.input, [post("first")])
            target.wait(1)
            broken = []
            for name, attack in ATTACKS.items():
                data = attack.make()
                reasons, seconds, watch = target.attack(name, attack, data)
                outcome = ", ".join(sorted(set(reasons))) or "labelled"
                figures = f"{seconds:.1f}", f"{watch.memory:,.0f}", f"{watch.lag:.0f}"
                table.add_row(name, f"{len(data):,}", outcome, *figures)
                if watch.memory > allowed:
                    broken.append(f"{name}: {watch.memory:,.0f} MiB; the manifest allows {allowed:,.0f}")
            sent = fuzz(target, given.seconds, given.seed)
            table.add_row(
                f"{sent:,} damaged posts (seed {given.seed})", "", "each once", f"{given.seconds:.0f}", "", ""
            )
            lines = worker.output.count("\n")
            assert worker.end() == 0, worker.output[-3000:]
        console.print(table)
        console.print(f"one worker for all of it, {lines:,} lines of its log; at most {allowed:,.0f} MiB are allowed")
        for what, figure in invent_cities(stack, start, ports["count"]).items():
            console.print(f"{CITIES:,} invented cities: {what} {figure:,.1f}")
        if prometheus:
            fired = prometheus.fired()
            console.print(f"alerts: {', '.join(sorted(fired))}")
            broken += [f"the alert {name} has not fired" for name in MUST_FIRE - fired]
            broken += [f"the alert {name} has fired" for name in fired - ALERTS]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


@contextmanager
def alerting(folder: Path) -> Iterator[Prometheus | None]:
    """A Prometheus for as long as the block runs; None where there is no program."""
    program = shutil.which("prometheus")
    if program is None:
        print("alerts are not looked at: no prometheus on the PATH", file=sys.stderr)
        yield None
        return
    prometheus = Prometheus(Path(program), folder / "prometheus")
    prometheus.start()
    try:
        yield prometheus
    finally:
        prometheus.stop()


if __name__ == "__main__":
    sys.exit(main())
