"""Stage `decode`: a record becomes a decoded post or a dead letter, each alone: a bad picture hurts no other."""

from typing import Any

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.pictures import PictureError
from consumer.dead_letter import DeadLetter, left_out_of
from producer.post import BadRecord, Post


def decode(record: Any, classifier: Classifier) -> Decoded | DeadLetter:
    """Read the record and decode its picture completely. Runs in the decode pool.

    Args:
        record: as kafka-python's consumer returned it.
        classifier: knows what its encoder needs of a picture.
    """
    if left_out := left_out_of(record):
        return DeadLetter.without(left_out)
    try:
        post = Post.from_record(record.key, record.value, record.headers)
    except BadRecord as error:
        return DeadLetter.of("bad_record", error)
    try:
        return classifier.decode(post)
    except PictureError as error:
        return DeadLetter.of(error.reason, error)
