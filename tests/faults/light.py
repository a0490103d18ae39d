"""`tests.light` whose worker does something to itself at a named moment: these failpoints exist only here.

`python -m tests.faults.light FLAGS…`; FAULTS_WINDOW names the moment, FAULTS_AT says at which time it comes by (1 = the
first), FAULTS_SIGNAL what the worker then sends itself. FAULTS_SHOW_BATCHES writes the keys of every batch that is
committed; FAULTS_TRANSACTION_MS says how long the broker waits for the end of a transaction.
"""

import os
import random
import signal
import threading
from collections.abc import Sequence
from typing import Any

from kafka import TopicPartition

from consumer.kafka.transactions import PublishTimes
from consumer.label.batch import Batch, Working
from consumer.label.encode import Inference, InFlight
from consumer.label.publish import Outgoing, Sink
from consumer.label.read import Source
from tests.light import run

WINDOWS = (
    "after poll",
    "after inference",
    "after begin",
    "before the last label is acknowledged",
    "after labels are sent",
    "after offsets are sent",
    "right before commit",
    "during commit",
    "right after commit",
)
"""In the order in which one batch passes them."""

WINDOW = os.environ.get("FAULTS_WINDOW")
SIGNAL = signal.Signals[os.environ.get("FAULTS_SIGNAL", "SIGKILL")]
SHOW_BATCHES = "FAULTS_SHOW_BATCHES" in os.environ
if "FAULTS_TRANSACTION_MS" in os.environ:
    patched: Any = PublishTimes
    patched.transaction_ms = int(os.environ["FAULTS_TRANSACTION_MS"])
left = int(os.environ.get("FAULTS_AT", "1"))


def reach(window: str) -> None:
    """A moment has come; if it is the one, so has the fault."""
    global left
    if window == WINDOW:
        left -= 1
        if left == 0:
            do()


def do() -> None:
    print(f"reached: {WINDOW}", flush=True)
    os.kill(os.getpid(), SIGNAL)


class FaultySource(Source):
    def next_batch(self, oldest: Working | None, most: int) -> Batch | None:
        batch = super().next_batch(oldest, most)
        if batch:
            reach("after poll")
        return batch


class FaultyInference(Inference[Any]):
    def start(self, batch: Batch) -> InFlight:
        flight = super().start(batch)
        flight.labeling.add_done_callback(lambda _: reach("after inference"))
        return flight


class FaultySink(Sink):
    def publish(self, batch: Batch, records: Sequence[Outgoing]) -> None:
        self._producer.unsent = len(records)
        super().publish(batch, records)
        if SHOW_BATCHES:
            print("batch", *(record.key.decode() for record in batch.records), flush=True)

    def _build(self, name: str) -> Any:
        return FaultyProducer(super()._build(name))


class FaultyProducer:
    """A KafkaProducer with moments around the steps of a transaction."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self.unsent = 0  # records of the transaction that are still to be given to `send`
        self._sent: list[Any] = []  # the futures of the others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def begin_transaction(self) -> None:
        self._sent = []
        self._producer.begin_transaction()
        reach("after begin")

    def send(self, *arguments: Any, partition: int) -> Any:
        self.unsent -= 1
        if WINDOW == "before the last label is acknowledged" and self._sent and not self.unsent:
            for future in self._sent:
                future.get(10)
            return self._send_last(*arguments, partition=partition)
        self._sent.append(self._producer.send(*arguments, partition=partition))
        return self._sent[-1]

    def _send_last(self, topic: str, *arguments: Any, partition: int) -> Any:
        muted, partition_of_last = self._producer._accumulator.muted, TopicPartition(topic, partition)
        muted.add(partition_of_last)  # so that the sender thread has not sent it when the moment comes
        future = self._producer.send(topic, *arguments, partition=partition)
        reach("before the last label is acknowledged")
        muted.discard(partition_of_last)
        self._producer._sender.wakeup()
        return future

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        reach("after labels are sent")  # every one has been acknowledged
        self._producer.send_offsets_to_transaction(*arguments)
        reach("after offsets are sent")

    def commit_transaction(self) -> None:
        global left
        reach("right before commit")
        if WINDOW == "during commit":
            left -= 1
            if left == 0:
                threading.Timer(random.uniform(0, 0.005), do).start()
        self._producer.commit_transaction()
        if WINDOW == "during commit" and left == 0:
            threading.Event().wait()  # it was quicker; the fault comes before the worker knows
        reach("right after commit")


if __name__ == "__main__":
    run(source_type=FaultySource, inference_type=FaultyInference, sink_type=FaultySink)
