"""The sub-command `replay`: dead letters go back to the input topic, each in one transaction with its receipt.

Why an interrupted replay neither loses nor doubles: record and receipt become visible together or not at all. All
replays of a dead-letter topic share one transactional id, so a new one ends whatever an earlier one left open, and one
that still runs can commit nothing more. Only then are the receipts read, which therefore are complete.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, KafkaTimeoutError
from pydantic import Field

from consumer.dead_letter import ADDED, ATTEMPTS, LEFT_OUT, OTHER_ENCODER, Headers
from consumer.dead_letters import receipts
from consumer.dead_letters.letter import CLIENT_ID, Letter
from consumer.dead_letters.original import NotThere, Originals
from consumer.dead_letters.settings import ChosenSettings
from consumer.kafka.offsets import topic_id_of
from consumer.kafka.orphans import is_fenced
from consumer.kafka.read_to_end import read_whole
from consumer.kafka.transactions import PublishTimes, build_producer, record_size, wait_for_all
from consumer.kafka.watchdog import Watchdog
from consumer.start import check_checksum, stop_on_signals
from producer.base.connect import close_at_once, connect
from producer.base.errors import CommandError, UsageError
from producer.base.logs import setup
from producer.base.settings import load
from producer.topics import Topic, admin_client, describe

MAX_ATTEMPTS = 3
"""A dead letter that has failed so often is passed over without --force."""

RECORDS = 500
BYTES = 16 * 2**20
"""Most records and bytes of a transaction: the client has no memory bound of its own."""

LARGEST = 100 * 2**20
"""Bytes that the producer takes for a record; the input topic's own limit is checked before."""


class ReplaySettings(PublishTimes, ChosenSettings):
    """Put dead letters back on the input topic; those that were replayed before are passed over."""

    ids: str | None = Field(None, min_length=1, description="only these: a,b; each a post_id or topic/partition/offset")
    dry_run: bool = Field(False, description="only say what would be replayed")
    force: bool = Field(False, description=f"also those that failed {MAX_ATTEMPTS} times")


@dataclass(frozen=True, slots=True)
class Returning:
    """A record on its way back. Partition None: the key decides."""

    letter: Letter
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def size(self) -> int:
        """Upper bound of the record's size in bytes."""
        return record_size(self.key, self.value, self.headers)


@dataclass(slots=True)
class Tally:
    """What became of the dead letters that were meant."""

    replayed: Counter[str] = field(default_factory=Counter)  # reason -> dead letters
    passed_over: Counter[str] = field(default_factory=Counter)  # why -> dead letters
    named: set[str] = field(default_factory=set)  # of --ids: those that were found


def main(argv: list[str]) -> int:
    """Run `replay`.

    Args:
        argv: flags of `ReplaySettings`.

    Returns:
        0, or 1 when it was stopped or --ids names what is not there.

    Raises:
        CommandError: no broker, no such topic, or the broker refused.
    """
    settings = load(ReplaySettings, "python -m consumer dead-letters replay", argv)
    setup(settings)
    check_checksum()
    ids = _ids(settings)
    tally, stop = Tally(), threading.Event()
    try:
        with admin_client(settings) as admin:
            _replay(settings, admin, ids, tally, stop)
    except KafkaError as error:
        _print(settings, tally)
        if is_fenced(error) or isinstance(error, InvalidProducerEpochError):
            raise CommandError(
                f"another replay of {settings.dead_letter_topic} has taken over, or a transaction took longer "
                "than PUBLISH_TIMEOUT; run it again for what is left, nothing is sent twice"
            ) from None
        raise CommandError(f"{error}; run it again for what is left, nothing is sent twice") from None
    _print(settings, tally)
    if stop.is_set():
        raise CommandError("stopped; run it again for what is left")
    if ids and (unknown := ids - tally.named):
        raise CommandError(f"no dead letter of {', '.join(sorted(unknown))} in {settings.dead_letter_topic}")
    return 0


def returning(record: Any, partitions: int) -> Returning:
    """The record that goes back: key, value and headers as they are, and ``placestream-attempts``.

    A null value under a null key, and a null header value, become ``b""`` (consumer/kafka/README.md, fact 36).

    Args:
        record: the dead letter, as kafka-python's consumer returned it.
        partitions: of the input topic.
    """
    letter = Letter.of(record)
    headers = [(name, value if value is not None else b"") for name, value in record.headers or ()]
    if all(name != ATTEMPTS for name, _ in headers):
        headers.append((ATTEMPTS, str(letter.attempts).encode()))
    value = b"" if record.key is None and record.value is None else record.value
    known = letter.partition is not None and letter.partition < partitions
    return Returning(letter, letter.partition if known else None, record.key, value, headers)


def whole(back: Returning, original: Any) -> Returning:
    """The same with key, value and headers of the original, of which the dead letter has but a part."""
    own = {name: value for name, value in back.headers if name in ADDED and name not in LEFT_OUT.values()}
    headers = [(name, value if value is not None else b"") for name, value in original.headers if name not in own]
    value = b"" if original.key is None and original.value is None else original.value
    return Returning(back.letter, back.partition, original.key, value, headers + list(own.items()))


def why_not(settings: ReplaySettings, back: Returning, limit: int | None, replayed: bool) -> str | None:
    """Why a dead letter that is meant is passed over all the same; None: it is not.

    Args:
        settings: of the replay.
        back: the record that would be sent.
        limit: record limit of the input topic in bytes, if known.
        replayed: whether it was replayed before.
    """
    letter = back.letter
    if replayed:
        return "replayed before"
    if letter.reason == OTHER_ENCODER:
        return "vectors of another encoder: they would only die again; `relabel` with that ENCODER takes them"
    if letter.topic is None:
        return "no dead letter of `label`: the error headers are missing"
    if letter.topic != settings.input_topic:
        return f"of topic {letter.topic} (--input-topic {letter.topic} sends them back there)"
    if letter.attempts >= MAX_ATTEMPTS and not settings.force:
        return f"failed {MAX_ATTEMPTS} times or more (--force replays them)"
    if limit is not None and back.size > limit:
        return f"too large for {settings.input_topic} with the error headers: raise its max.message.bytes"
    return None


def _replay(settings: ReplaySettings, admin: Any, ids: set[str], tally: Tally, stop: threading.Event) -> None:
    topics, receipts_topic = _topics(settings, admin)
    posts, topic_id = topics[settings.input_topic], topic_id_of(admin, settings.dead_letter_topic)
    producer = None if settings.dry_run else connect(settings, lambda: _producer(settings, admin, receipts_topic))
    originals = Originals(settings, admin)
    clean = False
    stop_on_signals(stop)
    try:
        # After init_transactions: now no other replay can add to them.
        done = receipts.read(settings, admin, topic_id) if receipts_topic in topics else set()
        back: list[Returning] = []
        size = 0
        publish = _Publish(settings.input_topic, receipts_topic, topic_id, producer, tally, settings)
        for record in read_whole(settings, CLIENT_ID, admin, settings.dead_letter_topic, "replaying", stop):
            if stop.is_set():
                break
            one = returning(record, posts.partitions)
            named = ids & one.letter.names
            if settings.reason not in (None, one.letter.reason) or (ids and not named):
                continue
            tally.named |= named
            why = why_not(settings, one, posts.max_record_bytes, one.letter.at in done)
            if not why and one.letter.left_out:
                try:
                    one = whole(one, originals.fetch(one.letter))
                    why = why_not(settings, one, posts.max_record_bytes, False)
                except NotThere as error:
                    why = str(error)
            if why:
                tally.passed_over[why] += 1
                continue
            back.append(one)
            size += one.size
            if len(back) >= RECORDS or size >= BYTES:
                publish(back)
                back, size = [], 0
        if back and not stop.is_set():
            publish(back)
        clean = True
    finally:
        originals.close()
        if producer is not None:
            producer.close(timeout=5) if clean else close_at_once(producer)


@dataclass(frozen=True, slots=True)
class _Publish:
    """Sends records and their receipts in one transaction each call; without a producer it only counts."""

    _topic: str
    _receipts_topic: str
    _topic_id: str
    _producer: KafkaProducer | None
    _tally: Tally
    _settings: PublishTimes
    _watchdog: Watchdog = field(default_factory=Watchdog)

    def __call__(self, back: Sequence[Returning]) -> None:
        if self._producer is not None:
            with self._watchdog.limit(self._settings.publish_limit, "replaying one transaction"):
                try:
                    self._send(self._producer, back)
                except KafkaTimeoutError as error:
                    raise KafkaTimeoutError(f"not taken in time: raise PUBLISH_TIMEOUT ({error})") from None
        self._tally.replayed.update(each.letter.reason or "without a reason" for each in back)

    def _send(self, producer: KafkaProducer, back: Sequence[Returning]) -> None:
        producer.begin_transaction()
        sent = []
        for each in back:
            sent.append(producer.send(self._topic, each.value, each.key, each.headers, partition=each.partition))
            partition, offset = each.letter.at
            receipt = receipts.Receipt(topic_id=self._topic_id, partition=partition, offset=offset)
            key, value = receipt.to_record()
            sent.append(producer.send(self._receipts_topic, value, key, partition=0))
        wait_for_all(sent, self._settings.delivery_ms / 1000)
        producer.commit_transaction()


def _topics(settings: ReplaySettings, admin: Any) -> tuple[dict[str, Topic], str]:
    """The topics that exist, by name, and the receipts' name: it exists then, unless this is a dry run."""
    name = receipts.topic_of(settings)
    names = (settings.input_topic, settings.dead_letter_topic, name)
    found = describe(admin, names)
    for needed in names[:2]:
        if needed not in found:
            raise CommandError(
                f"topic {needed} does not exist at {settings.bootstrap_servers}; "
                "`python -m producer topics` creates the topics"
            )
    if name not in found and not settings.dry_run:
        receipts.create(admin, name, found[settings.dead_letter_topic])
        found = describe(admin, names)
    if name in found:
        receipts.check(admin, found[name])
    return found, name


def _producer(settings: ReplaySettings, admin: Any, receipts_topic: str) -> KafkaProducer:
    """With one transactional id for all replays of a dead-letter topic: each ends its predecessor."""
    name = f"{settings.dead_letter_topic}-replay"
    return build_producer(settings, admin, name, [settings.input_topic, receipts_topic], LARGEST)


def _ids(settings: ReplaySettings) -> set[str]:
    """The ids of --ids; none: all are meant.

    Raises:
        UsageError: --ids names nothing.
    """
    if settings.ids is None:
        return set()
    ids = {name for part in settings.ids.split(",") if (name := part.strip())}
    if not ids:
        raise UsageError("setting IDS: it names no dead letter")
    return ids


def _print(settings: ReplaySettings, tally: Tally) -> None:
    count = tally.replayed.total()
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in sorted(tally.replayed.items()))
    done = "would replay" if settings.dry_run else "replayed"
    print(
        f"{done} {count:,} dead letter{'' if count == 1 else 's'} of {settings.dead_letter_topic} "
        f"to {settings.input_topic}{f': {reasons}' if reasons else ''}"
    )
    for why, number in sorted(tally.passed_over.items()):
        print(f"passed over {number:,}: {why}")
