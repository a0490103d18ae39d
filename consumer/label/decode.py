"""Stage `decode`: a record becomes a decoded post or a dead letter, each alone: a bad picture hurts no other."""

from collections.abc import Iterator, Sequence
from typing import Any

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.pictures.decode import PictureError
from consumer.dead_letter import DeadLetter, left_out_of
from producer.post import BadRecord, Post


def decode(records: Sequence[Any], classifier: Classifier) -> Iterator[Decoded | DeadLetter]:
    """Read some records and decode their pictures completely, in their order. Runs in the decode pool.

    Args:
        records: as kafka-python's consumer returned them.
        classifier: knows what its encoder needs of a picture.

    Raises:
        CommandError: decoder processes do not start.
    """
    posts = [_read(record) for record in records]
    decoded = classifier.decode_each([post for post in posts if isinstance(post, Post)])
    for post in posts:
        outcome = post if isinstance(post, DeadLetter) else next(decoded)
        yield DeadLetter.of(outcome.reason, outcome) if isinstance(outcome, PictureError) else outcome


def _read(record: Any) -> Post | DeadLetter:
    if left_out := left_out_of(record):
        return DeadLetter.without(left_out)
    try:
        return Post.from_record(record.key, record.value, record.headers)
    except BadRecord as error:
        return DeadLetter.of("bad_record", error)
