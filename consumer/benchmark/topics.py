"""Topics of the benchmark's own: created, filled and deleted."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from consumer.benchmark.settings import BenchmarkSettings
from consumer.label.settings import LabelSettings
from producer.post import Post
from producer.topics import CreateSettings, admin_client, create_topics

AT_ONCE = 1_000
"""Records on their way to the broker at most: the producer has no memory bound (consumer/kafka/README.md, fact 14)."""


@contextmanager
def own_topics(settings: BenchmarkSettings, vectors: bool = False) -> Iterator[LabelSettings]:
    """Topics and a group that nobody else uses, as the settings of a worker.

    Args:
        settings: of the benchmark.
        vectors: whether there is a topic for them.

    Raises:
        CommandError: the broker cannot be reached, or refuses.
    """
    name = f"placestream-benchmark-{uuid.uuid4().hex[:8]}"
    names: dict[str, str | None] = {
        "input_topic": name,
        "output_topic": f"{name}-labeled",
        "dead_letter_topic": f"{name}-dlt",
    }
    names |= {"vectors_topic": f"{name}-vectors" if vectors else None}  # whatever a variable says
    shared = settings.model_dump(exclude_unset=True)
    create_topics(CreateSettings.model_validate(shared | names | {"partitions": settings.partitions}))
    worker = LabelSettings.model_validate(
        shared
        | names
        | {
            "group_id": name,
            "replica": "benchmark",
            "stop_at_end": True,
            "batch_size": settings.batch_size,
            "breaker_consecutive": 2 * settings.batch_size + 200,
        }
    )
    try:
        yield worker
    finally:
        with suppress(KafkaError), admin_client(settings) as admin:
            admin.delete_topics([each for each in names.values() if each])


def producer(settings: LabelSettings) -> KafkaProducer:
    """As `replay` sends, with large batches."""
    return KafkaProducer(
        **settings.kafka(), allow_auto_create_topics=False, acks="all", batch_size=512 * 1024, linger_ms=5
    )


def fill(settings: LabelSettings, posts: Sequence[Post], number: int) -> None:
    """Write so many posts into the input topic, in turn, and wait until all are there."""
    sender = producer(settings)
    try:
        partitions = cycle(sorted(sender.partitions_for(settings.input_topic)))
        endless = cycle(posts)
        for start in range(0, number, AT_ONCE):
            now = range(min(AT_ONCE, number - start))
            sent = [send(sender, settings, next(endless), next(partitions)) for _ in now]
            for future in sent:
                future.get(60)
    finally:
        sender.close(timeout=5)


def send(sender: KafkaProducer, settings: LabelSettings, post: Post, partition: int | None = None) -> Any:
    """Send one post, to a partition by its key unless told; its future."""
    key, value, headers = post.to_record()
    return sender.send(settings.input_topic, value, key, headers, partition)
