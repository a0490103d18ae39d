"""What becomes of a batch that the model fails on: the posts at fault fail alone, unless the model itself is broken."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.encoders.encoder import EncoderBug
from producer.base.errors import CommandError

T = TypeVar("T")
F = TypeVar("F")


class BrokenModel(CommandError):
    """The encoder itself is at fault, not a post: none of the batch's results may be used."""


def survive(
    classifier: Classifier,
    batch: Sequence[Decoded],
    encode: Callable[[Sequence[Decoded]], Sequence[T]],
    failed: Callable[[Exception, Decoded], F],
) -> list[T | F]:
    """Encode a batch; halve it when it fails (out of memory, say), down to the posts that fail alone.

    Args:
        classifier: whose model it is; its `check` tells whether the model works at all.
        batch: decoded posts.
        encode: a method of the classifier, one result per post.
        failed: what stands for a post that fails alone.

    Returns:
        One outcome per post, in order.

    Raises:
        BrokenModel: a post fails, and so does a picture and caption of our own; the device is lost; the encoder ends
            its thread, or returns another number of vectors than it was given inputs.
    """
    failures: list[F] = []

    def fail(error: Exception, decoded: Decoded) -> F:
        failures.append(failed(error, decoded))
        return failures[-1]

    outcomes = _halving(classifier.encoder_name, batch, encode, fail)
    if failures:
        _check(classifier)
    return outcomes


def _check(classifier: Classifier) -> None:
    """A post that fails is its sender's fault only if the model does not fail on everything."""
    try:
        classifier.check()
    except (Exception, SystemExit) as error:
        raise BrokenModel(f"the encoder {classifier.encoder_name} fails on every post: {error!r}") from error


def _halving(
    encoder: str,
    batch: Sequence[Decoded],
    encode: Callable[[Sequence[Decoded]], Sequence[T]],
    failed: Callable[[Exception, Decoded], F],
) -> list[T | F]:
    if not batch:
        return []
    try:
        return list(encode(batch))
    except EncoderBug as error:
        raise BrokenModel(f"a bug: {error}") from error
    except SystemExit as error:  # of a library: on the main thread it would end the process as if all were well
        raise BrokenModel(f"the encoder {encoder} ended its thread: {error!r}") from error
    except Exception as error:
        if _device_is_lost(error):
            raise BrokenModel(f"the device is lost, only a restart mends it: {one_line(error)}") from error
        if len(batch) == 1:
            return [failed(error, batch[0])]
    # Not above: as long as the exception is handled, its traceback holds the tensors of the batch that did not fit.
    middle = len(batch) // 2
    halves = batch[:middle], batch[middle:]
    return [outcome for half in halves for outcome in _halving(encoder, half, encode, failed)]


def one_line(error: Exception) -> str:
    """The beginning of what an error says; those of CUDA have many lines."""
    return " ".join(str(error).split())[:300]


def _device_is_lost(error: Exception) -> bool:
    """Whether a CUDA context is broken; running out of memory is no such thing, nor is a library that gets none."""
    said = str(error)
    return "CUDA error" in said and "out of memory" not in said.lower() and "ALLOC_FAILED" not in said
