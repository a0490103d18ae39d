"""The command `score`: for every post the cosines of picture and caption with every place, from the code of `label`."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import AliasChoices, Field

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.factory import build_classifier
from consumer.classify.settings import ClassifySettings
from consumer.classify.survive import one_line, survive
from consumer.evaluate.scores.ahead import Failure, Ready, batches
from consumer.evaluate.scores.folder import FAILED, ScoreInfo
from consumer.evaluate.scores.progress import progress
from consumer.evaluate.scores.selection import Chosen, SelectionSettings, choose, take
from consumer.evaluate.scores.writer import PART_POSTS, Row, ScoreWriter, writing
from producer.base.errors import CommandError
from producer.base.settings import load
from producer.dataset.open import Dataset, chosen_cities, open_dataset

log = logging.getLogger(__name__)


class ScoreSettings(SelectionSettings, ClassifySettings):
    """Store the cosines of each post's picture and caption with every place.

    Reads a dataset, as `producer replay` does. Writes a score folder: scores.json, part-00000.parquet …, and failed.csv
    with the posts whose picture cannot be used. Run again after an interruption, with the same flags, it goes on.
    ENSEMBLE, WEIGHTS, GATE and THRESHOLD make no difference here: `evaluate curves` applies them to the scores.
    """

    output: Path = Field(
        validation_alias=AliasChoices("output", "o"), description="folder to write: new, or of an earlier run"
    )
    batch_size: int = Field(32, ge=1, le=10_000, description="most posts in a batch")
    decode_threads: int = Field(2, ge=1, le=64, description="threads that decode pictures")


def main(
    argv: list[str],
    build: Callable[[ScoreSettings], Classifier] = build_classifier,
    part_posts: int = PART_POSTS,
) -> int:
    """Run `score`.

    Args:
        argv: flags of `ScoreSettings`.
        build: loads the model; this and the next are for tests.
        part_posts: rows of a part.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(ScoreSettings, "python -m consumer evaluate score", argv)
    dataset = open_dataset(settings.dataset)
    cities = chosen_cities(settings.cities, settings.dataset, dataset)
    chosen = choose(dataset, cities, settings.posts, settings.seed)
    _warn(chosen)
    classifier = build(settings)
    choice = {
        "posts": settings.posts,
        "seed": settings.seed if settings.posts else None,
        "cities": cities,
        "max_image_bytes": settings.max_image_bytes,
        "max_image_pixels": settings.max_image_pixels,
    }
    with writing(settings.output, _info(classifier, settings.dataset, chosen), choice, part_posts) as writer:
        _score(classifier, dataset, cities, chosen, writer, settings)
        failed = f"; {writer.failed} failed, see {settings.output / FAILED}" if writer.failed else ""
        print(f"{settings.output}: {writer.scored} posts scored by {classifier.encoder_name}{failed}")
    return 0


def _info(classifier: Classifier, dataset: Path, chosen: Chosen) -> ScoreInfo:
    places = classifier.places
    clusters = (
        tuple(category for category in place.synonyms if category in places.categories) for place in places.places
    )
    return ScoreInfo(
        encoder=classifier.encoder_name,
        places=classifier.places_stamp,
        categories=places.categories,
        synonyms=tuple(dict.fromkeys(cluster for cluster in clusters if len(cluster) > 1)),
        image_logit_scale=classifier.head.image_logit_scale,
        text_logit_scale=classifier.head.text_logit_scale,
        threshold=classifier.default_threshold,
        dataset=dataset.resolve(),
        posts=len(chosen.ids),
        ids_sha256=chosen.sha256,
    )


def _score(
    classifier: Classifier,
    dataset: Dataset,
    cities: Sequence[str] | None,
    chosen: Chosen,
    writer: ScoreWriter,
    settings: ScoreSettings,
) -> None:
    left = set(chosen.ids - writer.done)
    entries = take(dataset.entries(cities), left)
    with progress("posts", len(chosen.ids), len(writer.done)) as advance:
        for batch in batches(entries, classifier.decode_each, settings.batch_size, settings.decode_threads):
            writer.add(score_batch(classifier, batch))
            advance(len(batch))
    if left:
        raise CommandError(f"{len(left)} posts have gone from the dataset meanwhile ({min(left)}): it must not change")
    writer.finish()


def score_batch(classifier: Classifier, batch: Sequence[Ready[Decoded] | Failure]) -> list[Row | Failure]:
    """Scores of the posts that could be decoded; one that the encoder cannot take alone is a failure.

    Raises:
        BrokenModel: see `survive`.
    """
    decoded = [outcome.prepared for outcome in batch if isinstance(outcome, Ready)]
    rows = iter(survive(classifier, decoded, lambda part: _rows(classifier, part), _failure))
    return [outcome if isinstance(outcome, Failure) else next(rows) for outcome in batch]


def _rows(classifier: Classifier, batch: Sequence[Decoded]) -> list[Row]:
    similarities = zip(batch, *classifier.similarities(batch), strict=True)
    return [Row.of(decoded.post, image, text) for decoded, image, text in similarities]


def _failure(error: Exception, decoded: Decoded) -> Failure:
    return Failure(decoded.post.post_id, "encode_failed", one_line(error))


def _warn(chosen: Chosen) -> None:
    if chosen.repeated:
        log.warning("%d entries have the id of an earlier one: the first of each counts", chosen.repeated)
    if chosen.unnamed:
        log.warning(
            "%d entries have no usable id and are left out; the first: %s", len(chosen.unnamed), chosen.unnamed[0]
        )
