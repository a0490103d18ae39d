"""The loop against a source and a sink that fail on command: what it must never publish twice, or at all."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    KafkaError,
    KafkaTimeoutError,
    NotEnoughReplicasError,
    ProducerFencedError,
)
from prometheus_client import CollectorRegistry

from consumer.classify.classifier import Classifier
from consumer.classify.decision import Decision
from consumer.classify.encoders.encoder import Images
from consumer.classify.places import LEVELS
from consumer.dead_letter import DeadLetter
from consumer.encoded_post import EncodedPost
from consumer.health import Health
from consumer.label.batch import Batch, Working
from consumer.label.encode import Inference, PictureLabeler
from consumer.label.group import Reassigned
from consumer.label.live import Live
from consumer.label.pace import LARGE, MOST_FAILURES, MOST_TIMEOUTS
from consumer.label.preflight import Topics
from consumer.label.publish import LeadersChanged, Outcome, Outgoing, Sink
from consumer.label.read import MOST_IN_FLIGHT
from consumer.label.settings import LabelSettings
from consumer.label.worker import Hanging, Worker
from consumer.labeled_post import LabeledPost
from consumer.metrics import LabelMetrics
from producer.base.errors import CommandError
from tests.conftest import wait_until
from tests.light import PLACES, LightEncoder
from tests.unit.consumer.label.reading import Limits
from tests.unit.consumer.label.records import Record, record
from tests.wire import picture

POSTS = TopicPartition("posts", 0)


class LogSource:
    """A partition whose records are handed out from a position, as `Source` does; batches of two."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.position = self.committed_offset = 0
        self.generation = 1
        self.resyncs = 0
        self.before_batch: dict[int, Callable[[], None]] = {}  # at this position, once
        self.stale: set[int] = set()  # generations that are over
        self.most_in_flight = MOST_IN_FLIGHT
        self.released = False

    def join(self) -> None:
        pass

    def has_joined(self) -> bool:
        return True

    def next_batch(self, oldest: Working | None, most: int) -> Batch | None:
        if act := self.before_batch.pop(self.position, None):
            act()
        found = tuple(self.records[self.position : self.position + most])
        if not found:
            return None
        self.position += len(found)
        return Batch(
            found,
            {POSTS: OffsetAndMetadata(self.position, "", -1)},
            ConsumerGroupMetadata("g", self.generation, "m"),
            "size",
        )

    def release(self) -> None:
        self.released = True

    def check(self, batch: Batch) -> None:
        if batch.group.generation_id in self.stale:
            raise Reassigned("the group was rebalanced")

    def record_commit(self, batch: Batch) -> None:
        pass

    def resync(self) -> None:
        self.resyncs += 1
        self.position = self.committed_offset

    def is_at_end(self) -> bool:
        return self.position >= len(self.records)

    def check_moving(self) -> None:
        pass

    def total_lag(self) -> int:
        return 0


class FailingSink(Sink):
    """Publishes into a list, unless an error is planned for that publish."""

    def __init__(self, source: LogSource, settings: LabelSettings, output_limit: int) -> None:
        self._settings = settings
        self._topics = Topics(1, output_limit, 10**7)
        self.source = source
        self.published: list[str] = []
        self.failures: deque[Exception | None] = deque()
        self.unsure: deque[Exception | None] = deque()
        self.recoveries = 0
        self.outcomes: list[Outcome] = []
        self.twin = False
        self.sizes: list[int] = []  # of the batches, the refused ones too

    def outgoing(
        self,
        batch: Batch,
        outcomes: Sequence[Outcome],
        is_too_slow: Callable[[Any], bool],
        encoded: Mapping[int, EncodedPost],
    ) -> tuple[list[Outgoing], list[Outcome]]:
        records, final = super().outgoing(batch, outcomes, is_too_slow, encoded)
        self.outcomes += final
        return records, final

    def publish(self, batch: Batch, records: Sequence[Outgoing]) -> None:
        self.sizes.append(len(records))
        if self.failures and (failure := self.failures.popleft()):
            raise failure
        self.published += [out.key.decode() for out in records if out.key]
        self.source.committed_offset = batch.offsets[POSTS].offset

    def has_twin(self, batch: Batch) -> bool:
        return self.twin

    def check(self) -> None:
        if self.unsure and (failure := self.unsure.popleft()):
            raise failure

    def recover(self) -> None:
        self.recoveries += 1

    def abort_orphaned_transactions(self) -> None:
        pass


class Line:
    """A worker over `posts` good records, and what the test needs to see of it."""

    def __init__(
        self, posts: int, records: Sequence[Record] | None = None, output_limit: int = 10**6, **settings: Any
    ) -> None:
        self.stop = threading.Event()
        self.settings = LabelSettings.model_validate({"batch_size": 2, "stop_at_end": True, "replica": "me"} | settings)
        records = [record(number, picture("red")) for number in range(posts)] if records is None else records
        self.source = LogSource(records)
        self.sink = FailingSink(self.source, self.settings, output_limit)
        self.metrics = LabelMetrics(CollectorRegistry())
        self.encoder = LightEncoder()
        self.classifier = Classifier(self.encoder, PLACES, Decision(threshold=0.4, broader_threshold=0.6))
        labeler = PictureLabeler(self.classifier, 1, self.metrics, keeps_vectors=False)
        self.inference = Inference(labeler, self.metrics)
        self.limits = Limits()

    def run(self) -> None:
        source: Any = self.source
        self.worker = Worker(
            self.settings,
            source,
            self.sink,
            self.inference,
            self.metrics,
            Health(60),
            Live(),
            self.limits,
            self.stop,
        )
        try:
            self.worker.run()
        finally:
            self.inference.close()


def slow(count: int, seconds: int) -> list[Record]:
    """Records each of which keeps the model busy for so long, or until it is told to hurry."""
    return [record(number, picture((90, 100, 90)), caption=f"takes {seconds} s") for number in range(count)]


def ids(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_a_refused_publish_while_the_next_batch_is_in_flight_repeats_neither() -> None:
    line = Line(8)
    line.sink.failures.extend([None, KafkaTimeoutError("expired")])

    line.run()

    assert line.sink.published == ids(8)
    assert line.source.resyncs == 1
    assert line.sink.recoveries == 1
    assert line.metrics.transactions.labels("aborted")._value.get() == 1
    assert line.metrics.resyncs.labels("publish")._value.get() == 1


def test_a_leader_that_changed_before_a_transaction_repeats_nothing_and_is_no_refusal() -> None:
    line = Line(7)
    line.sink.unsure.extend([None, *[LeadersChanged("another leader")] * MOST_FAILURES])

    line.run()

    assert line.sink.published == ids(7)
    assert line.sink.recoveries == MOST_FAILURES
    assert line.metrics.transactions.labels("aborted")._value.get() == 0
    assert line.metrics.resyncs.labels("broker")._value.get() == MOST_FAILURES


def test_a_batch_of_an_earlier_generation_is_dropped_and_its_records_come_again() -> None:
    line = Line(6)

    def rebalance() -> None:
        line.source.stale.add(1)
        line.source.generation = 2

    line.source.before_batch[2] = rebalance

    line.run()

    assert line.sink.published == ids(6)
    assert line.metrics.resyncs.labels("rebalance")._value.get() == 1


@pytest.mark.parametrize("error", [ProducerFencedError(), KafkaError("a request has failed", ProducerFencedError())])
def test_being_fenced_ends_the_worker_and_names_the_replica(error: Exception) -> None:
    line = Line(4)
    line.sink.failures.append(error)

    with pytest.raises(CommandError, match="another worker uses replica me"):
        line.run()
    assert line.sink.published == []


@pytest.mark.parametrize("twin", [False, True])
def test_a_worker_whose_transaction_outlived_its_time_goes_on_unless_another_has_its_name(
    twin: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(4)
    line.sink.failures.append(ProducerFencedError())
    line.sink.twin = twin
    monkeypatch.setattr(LabelSettings, "transaction_ms", 0)

    with pytest.raises(CommandError, match="another worker uses replica me") if twin else nullcontext():
        line.run()
    assert line.sink.published == ([] if twin else ids(4))


@pytest.mark.parametrize(
    ("error", "why", "halved"),
    [(NotEnoughReplicasError("1"), "refused", 0), (KafkaTimeoutError("2"), "PUBLISH_TIMEOUT", 1)],
)
def test_a_batch_that_is_refused_again_and_again_ends_the_worker_with_its_place(
    error: Exception, why: str, halved: int
) -> None:
    line = Line(4)
    line.sink.failures.extend([error] * 9)

    with pytest.raises(CommandError, match=rf"{why}.*posts/0 offset 0.*{error.args[0]}"):
        line.run()
    assert line.source.resyncs == halved + MOST_FAILURES - 1


def test_what_is_not_taken_in_time_comes_again_in_parts_which_grow_again() -> None:
    line = Line(24, batch_size=8)
    line.sink.failures.extend([KafkaTimeoutError("8"), KafkaTimeoutError("4")])

    line.run()

    assert line.sink.published == ids(24)
    assert line.sink.sizes[:3] == [8, 4, 2]
    assert 8 in line.sink.sizes[3:]


@pytest.mark.parametrize("value", [b"no picture", picture("red")], ids=["dead", "labelled"])
def test_a_large_record_that_is_never_taken_in_time_goes_without_its_value(value: bytes) -> None:
    line = Line(0, records=[record(0, value, key=bytes(2 * LARGE)), record(1, picture("red"))], batch_size=1)
    line.sink.failures.extend([KafkaTimeoutError("slow")] * MOST_TIMEOUTS)

    line.run()

    too_large, labelled = line.sink.outcomes[MOST_TIMEOUTS:]
    assert isinstance(too_large, DeadLetter)
    assert too_large.reason == "record_too_large"
    assert "PUBLISH_TIMEOUT" in too_large.message
    assert too_large.left_out is not None
    assert too_large.left_out.value_bytes == len(value)
    assert isinstance(labelled, LabeledPost)


def test_being_outrun_by_a_rebalance_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.label.worker.LONGEST_PAUSE", 0.01)
    line = Line(4)
    line.sink.failures.extend([CommitFailedError()] * 6)

    line.run()

    assert line.sink.published == ids(4)


def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(4)
    line.sink.failures.append(KafkaTimeoutError("gone"))
    away = deque([KafkaTimeoutError("still gone"), KafkaTimeoutError("still gone")])

    def resync() -> None:
        if away:
            raise away.popleft()
        LogSource.resync(line.source)

    monkeypatch.setattr(line.source, "resync", resync)

    line.run()

    assert line.sink.published == ids(4)


def test_a_broker_that_never_lets_it_go_on_is_joined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(4)
    monkeypatch.setattr(line.stop, "wait", lambda seconds: False)
    line.sink.failures.append(KafkaTimeoutError("gone"))
    joined: list[str] = []

    def resync() -> None:
        if not joined:
            raise KafkaTimeoutError("the committed offset cannot be had")
        LogSource.resync(line.source)

    monkeypatch.setattr(line.source, "resync", resync)
    monkeypatch.setattr(line.source, "rejoin", lambda: joined.append("again"), raising=False)

    line.run()

    assert joined == ["again"]
    assert line.sink.published == ids(4)


def test_a_stop_publishes_what_is_in_flight_and_takes_no_more() -> None:
    line = Line(100)
    line.source.before_batch[6] = line.stop.set

    line.run()

    assert line.sink.published == ids(8)


def test_two_batches_are_in_flight_at_most_however_slow_the_model() -> None:
    line = Line(0, records=slow(20, 60))
    working = threading.Thread(target=line.run)
    working.start()
    wait_until(lambda: line.source.position >= 4)

    time.sleep(1)  # nothing to wait for: the point is that nothing more is read
    position = line.source.position
    line.encoder.hurry.set()
    working.join()

    assert position == 4, "two batches of two"
    assert line.sink.published == ids(20)


def test_a_stop_does_not_wait_for_a_slow_model_beyond_the_drain_timeout() -> None:
    line = Line(0, records=slow(4, 600), drain_timeout=0.2)

    def stop_when_busy() -> None:
        wait_until(lambda: line.inference.is_busy)
        line.stop.set()

    line.source.before_batch[2] = stop_when_busy

    line.run()

    assert line.sink.published == []
    assert line.inference.is_busy
    line.encoder.hurry.set()


def test_the_breaker_judges_before_anything_of_the_batch_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(4, breaker_consecutive=3)
    encode = line.encoder.encode_images

    def encode_no_red(prepared: Sequence[torch.Tensor]) -> Images:
        if any(picture[0].float().mean() > 200 for picture in prepared):
            raise RuntimeError("no red")
        return encode(prepared)

    monkeypatch.setattr(line.encoder, "encode_images", encode_no_red)

    with pytest.raises(CommandError, match="BREAKER_CONSECUTIVE"):
        line.run()
    assert line.sink.published == ["0", "1"]
    assert line.source.released


def test_what_is_the_sender_s_fault_never_ends_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    junk = [record(number, b"no picture") for number in range(5)]
    giants = [record(number, picture(), key=str(number).encode() * 2_000) for number in range(5, 10)]
    line = Line(0, records=[*junk, *giants], output_limit=1_000, breaker_consecutive=3)

    line.run()

    assert [post_id[0] for post_id in line.sink.published] == ids(10)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("dead letter")]
    assert len(lines) == 6, "one for each batch and reason"


def test_dead_letters_of_one_reason_are_logged_and_counted_by_their_kind(caplog: pytest.LogCaptureFixture) -> None:
    no_city = [record(number, picture(), headers=[]) for number in range(3)]
    blank = record(3, picture(), headers=[("city", b" ")])
    line = Line(0, records=[*no_city, blank], batch_size=4, breaker_consecutive=5)

    line.run()

    assert line.worker.died == {("bad_record", "header city is missing"): 3, ("bad_record", "city is blank"): 1}
    fields = [vars(each)["fields"] for each in caplog.records if each.getMessage() == "dead letter"]
    assert [(each["posts"], each["why"]) for each in fields] == [(3, "header city is missing"), (1, "city is blank")]


def test_a_batch_that_the_model_does_not_give_back_ends_the_worker_as_if_it_were_killed() -> None:
    line = Line(0, records=slow(4, 30), max_poll_interval=1)

    with pytest.raises(Hanging, match=r"more than 80% of MAX_POLL_INTERVAL \(1 s\)"):
        line.run()

    assert line.sink.published == []
    assert not line.source.released
    line.encoder.hurry.set()


def test_a_dead_letter_too_large_for_its_topic_goes_without_the_value_and_ends_no_worker() -> None:
    line = Line(0, records=[record(0, b"no picture" * 1_000), record(1, picture("red"))])
    line.sink._topics = Topics(1, 10**6, dead_letter_limit=5_000)

    line.run()

    too_large, labelled = line.sink.outcomes
    assert isinstance(too_large, DeadLetter)
    assert (too_large.stage, too_large.reason) == ("read", "record_too_large")
    assert "not_an_image" in too_large.message
    assert too_large.left_out is not None
    assert too_large.left_out.value_bytes == 10_000
    assert isinstance(labelled, LabeledPost)
    assert line.sink.published == ["0", "1"]


def test_joining_must_end_within_the_startup_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(2, startup_timeout=0.001)
    monkeypatch.setattr(line.source, "has_joined", lambda: False)
    monkeypatch.setattr(line.source, "next_batch", lambda oldest, most: line.stop.wait(0.01) and None)

    with pytest.raises(CommandError, match="STARTUP_TIMEOUT"):
        line.run()


def test_a_publish_and_a_recovery_happen_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(4)
    line.sink.failures.append(KafkaTimeoutError("gone"))
    seen: dict[str, set[tuple[float, str] | None]] = {}

    def watch(part: Any, step: str) -> None:
        do = getattr(part, step)

        def watched(*arguments: Any) -> None:
            seen.setdefault(step, set()).add(line.limits.guarding)
            do(*arguments)

        monkeypatch.setattr(part, step, watched)

    watch(line.sink, "publish")
    watch(line.sink, "recover")
    watch(line.source, "resync")

    line.run()

    limit = 3 * line.settings.publish_timeout
    back = {(2 * limit, "going back to the committed offsets")}
    assert seen == {"publish": {(limit, "publishing a batch")}, "recover": back, "resync": back}


def test_a_post_without_a_place_has_its_broader_answer_which_is_counted_by_level() -> None:
    line = Line(0, [record(0, picture((100, 100, 100))), record(1, picture("red"))])
    line.run()
    grey, red = line.sink.outcomes
    assert isinstance(grey, LabeledPost)
    assert isinstance(red, LabeledPost)
    assert grey.broader is not None
    assert (grey.place, grey.broader.level, grey.broader.name) == (None, "synonyms", "green|blue")
    assert (red.place, red.broader) == ("red", None)
    counted = {level: line.metrics.broader.labels(level)._value.get() for level in LEVELS}
    assert counted == {"synonyms": 1, "level2": 0, "level1": 0}
