"""The command `prelabel`: an independent labelling of a dataset's pictures, by a VGG16 trained on Places205."""

import csv
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from pydantic import AliasChoices, Field
from torch import nn

from consumer.classify.pictures.decode import PictureError, PictureLimits
from consumer.classify.pictures.pool import decoders
from consumer.classify.places import Places
from consumer.classify.survive import one_line
from consumer.evaluate.scores.ahead import Failure, Ready, batches
from consumer.evaluate.scores.places205_vgg import OUTPUTS, PREPROCESSING, Preprocessing, build_vgg16, load_network
from consumer.evaluate.scores.progress import progress
from consumer.evaluate.scores.selection import SelectionSettings, choose, take
from producer.base.disk import whole
from producer.base.errors import CommandError
from producer.base.settings import load
from producer.dataset.open import chosen_cities, open_dataset
from producer.post import Post

log = logging.getLogger(__name__)


class PrelabelSettings(SelectionSettings):
    """Label a dataset's pictures by a VGG16 that was trained on Places205: the independent labels of experiment A.

    Reads a dataset and a checkpoint: the state dict of torchvision's VGG16 with 205 outputs. Writes a CSV
    post_id,place,probability, for `evaluate sample-a --labels`. With the same --posts, --seed and --cities as
    `evaluate score` it labels the same posts.
    """

    checkpoint: Path = Field(description="PyTorch state dict of a VGG16 with 205 outputs")
    preprocessing: Preprocessing = Field(
        "imagenet", description="of the weights: imagenet, or caffe if converted from it"
    )
    output: Path = Field(validation_alias=AliasChoices("output", "o"), description="CSV to write")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="auto, cpu, cuda, cuda:N or mps")
    batch_size: int = Field(32, ge=1, le=10_000, description="most posts in a batch")
    decode_threads: int = Field(2, ge=1, le=64, description="threads that decode pictures")


def main(argv: list[str], build: Callable[[], nn.Module] = build_vgg16) -> int:
    """Run `prelabel`.

    Args:
        argv: flags of `PrelabelSettings`.
        build: the network without weights; another one in tests.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(PrelabelSettings, "python -m consumer evaluate prelabel", argv)
    dataset = open_dataset(settings.dataset)
    cities = chosen_cities(settings.cities, settings.dataset, dataset)
    chosen = choose(dataset, cities, settings.posts, settings.seed)
    network = _to_device(load_network(settings.checkpoint, build), settings.device)
    entries = take(dataset.entries(cities), set(chosen.ids))
    categories = places205()
    prepare = _prepare(settings.preprocessing)
    failures: list[Failure] = []
    named: Counter[str] = Counter()
    try:
        with (
            whole(settings.output, "w", encoding="utf-8", newline="") as file,
            progress("posts", len(chosen.ids)) as advance,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["post_id", "place", "probability"])
            for batch in batches(entries, prepare, settings.batch_size, settings.decode_threads):
                failures += [outcome for outcome in batch if isinstance(outcome, Failure)]
                for post_id, place, probability in label(network, batch, categories):
                    named[place] += 1
                    writer.writerow([post_id, place, f"{probability:.6f}"])
                advance(len(batch))
    except OSError as error:
        raise CommandError(f"{settings.output} cannot be written: {error.strerror or error}") from None
    if failures:
        log.warning("%d pictures cannot be used and have no label; the first: %s", len(failures), failures[0])
    print(f"{settings.output}: {sum(named.values())} posts labelled, {len(named)} classes named")
    return 0


def label(
    network: nn.Module, batch: Sequence[Ready[torch.Tensor] | Failure], categories: Sequence[str]
) -> Iterator[tuple[str, str, float]]:
    """For each picture that could be decoded its post_id, the most probable place and its probability.

    Raises:
        CommandError: the network cannot compute the batch, or gives no numbers.
    """
    ready = [outcome for outcome in batch if isinstance(outcome, Ready)]
    if not ready:
        return
    device = next(network.parameters()).device
    try:
        with torch.inference_mode():
            logits = network(torch.stack([outcome.prepared for outcome in ready]).to(device)).double().cpu()
    except RuntimeError as error:
        raise CommandError(f"the VGG16 fails on {len(ready)} pictures (--batch-size): {one_line(error)}") from error
    if not logits.isfinite().all():
        raise CommandError("the VGG16 gives NaN or infinity: the checkpoint's weights are broken")
    best = logits.softmax(dim=1).max(dim=1)
    for outcome, probability, index in zip(ready, best.values.tolist(), best.indices.tolist(), strict=True):
        yield outcome.post.post_id, categories[index], probability


def places205() -> tuple[str, ...]:
    """What the outputs mean: the packaged label set is in the official order of Places205."""
    categories = Places.load().categories
    assert len(categories) == OUTPUTS
    return categories


def _prepare(preprocessing: Preprocessing) -> Callable[[Sequence[Post]], Iterator[torch.Tensor | PictureError]]:
    as_trained = PREPROCESSING[preprocessing]

    def prepare(posts: Sequence[Post]) -> Iterator[torch.Tensor | PictureError]:
        for levels in decoders(PictureLimits()).each([post.picture for post in posts]):
            yield levels if isinstance(levels, PictureError) else as_trained(Image.fromarray(levels))

    return prepare


def _to_device(network: nn.Module, wanted: str) -> nn.Module:
    device = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise CommandError(f"DEVICE {device}: {str(error).splitlines()[0]}") from None
