"""The command `score`: the vectors of every post, by the code of `label`, or from an export of its topic."""

import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.factory import build_classifier, build_head
from consumer.classify.label import Label
from consumer.classify.places import Places
from consumer.classify.settings import ClassifySettings, DecideSettings
from consumer.classify.survive import one_line, survive
from consumer.evaluate.scores.ahead import Failure, Ready, batches
from consumer.evaluate.scores.exported import Exported
from consumer.evaluate.scores.folder import FAILED, LabelSet, ScoreInfo, model_of
from consumer.evaluate.scores.progress import progress
from consumer.evaluate.scores.selection import Chosen, SelectionSettings, choose, take
from consumer.evaluate.scores.writer import PART_POSTS, ScoreWriter, writing
from consumer.vector_table import Row, exported_files, post_row
from producer.base.errors import CommandError
from producer.base.settings import load
from producer.dataset.open import Dataset, chosen_cities, open_dataset
from producer.post import Post

log = logging.getLogger(__name__)


class ScoreSettings(SelectionSettings, ClassifySettings):
    """Store the vectors of each post's picture and caption, and of every place: all that labels follow from.

    Reads a dataset, as `producer replay` does, or the folder of `export --vectors-topic`, of which no picture is
    encoded again. Writes a score folder: scores.json, places.parquet, part-00000.parquet …, and failed.csv with the
    posts whose picture cannot be used. Run again after an interruption, with the same flags, it goes on. ENSEMBLE,
    WEIGHTS, GATE and both thresholds make no difference here: `evaluate curves` applies them to the scores.
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
    files = exported_files(settings.dataset)
    if files is not None:
        return _score_export(settings, files, part_posts)
    dataset = open_dataset(settings.dataset)
    cities = chosen_cities(settings.cities, settings.dataset, dataset)
    chosen = choose(dataset, cities, settings.posts, settings.seed)
    _warn(chosen)
    classifier = build(settings).with_captions("all")
    label_set = LabelSet.of(classifier.places, classifier.places_stamp, classifier.head)
    info = _info(label_set, classifier.encoder_name, classifier.default_threshold, settings, chosen)
    limits = {"max_image_bytes": settings.max_image_bytes, "max_image_pixels": settings.max_image_pixels}
    choice = _choice(settings, cities) | limits
    with writing(settings.output, info, classifier.head, choice, part_posts) as writer:
        _score(classifier, dataset, cities, chosen, writer, settings)
        failed = f"; {writer.failed} failed, see {settings.output / FAILED}" if writer.failed else ""
        print(f"{settings.output}: {writer.scored} posts scored by {info.encoder}{failed}")
    return 0


def _score_export(settings: ScoreSettings, files: Sequence[Path], part_posts: int) -> int:
    """Take the vectors of an export; of the model at most the prompts of the places are asked."""
    of_places = DecideSettings.model_construct(
        **{name: getattr(settings, name) for name in DecideSettings.model_fields}
        | {"threshold": None, "broader_threshold": None}
    )
    built = build_head(of_places)
    dataset = Exported(settings.dataset, files, built.identity)
    for name, posts in dataset.others.items():
        log.warning("%d posts are left out, which %s encoded", posts, name)
    cities = chosen_cities(settings.cities, settings.dataset, dataset)
    chosen = choose(dataset, cities, settings.posts, settings.seed)
    _warn(chosen)
    label_set = LabelSet.of(Places.load(settings.places), built.places_stamp, built.head)
    info = _info(label_set, ", ".join(dataset.encoders), built.head.decision.threshold, settings, chosen)
    with writing(settings.output, info, built.head, _choice(settings, cities), part_posts) as writer:
        left = take(dataset.rows(cities), set(chosen.ids - writer.done))
        with progress("posts", len(chosen.ids), len(writer.done)) as advance:
            while rows := [post.row for post in itertools.islice(left, part_posts) if post.row is not None]:
                writer.add(rows)
                advance(len(rows))
        writer.finish()
        print(f"{settings.output}: {writer.scored} posts of {settings.dataset}, encoded by {info.encoder}")
    return 0


def _choice(settings: ScoreSettings, cities: Sequence[str] | None) -> dict[str, Any]:
    return {"posts": settings.posts, "seed": settings.seed if settings.posts else None, "cities": cities}


def _info(label_set: LabelSet, encoder: str, threshold: float, settings: ScoreSettings, chosen: Chosen) -> ScoreInfo:
    return ScoreInfo(
        **label_set.fields(),
        encoder=encoder,
        model=model_of(settings),
        threshold=threshold,
        dataset=settings.dataset.resolve(),
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
    labels = zip(batch, classifier.label(batch), strict=True)
    return [_row(decoded.post, label, classifier.encoder_name) for decoded, label in labels]


def _row(post: Post, label: Label, encoder: str) -> Row:
    assert label.vectors is not None, "a model made it"
    caption = label.caption_use != "none"
    of_caption = label.sentiment, label.language, caption
    return post_row(post.post_id, post.city, post.created_at, *of_caption, encoder, label.vectors)


def _failure(error: Exception, decoded: Decoded) -> Failure:
    return Failure(decoded.post.post_id, "encode_failed", one_line(error))


def _warn(chosen: Chosen) -> None:
    if chosen.repeated:
        log.warning("%d entries have the id of an earlier one: the first of each counts", chosen.repeated)
    if chosen.unnamed:
        log.warning(
            "%d entries have no usable id and are left out; the first: %s", len(chosen.unnamed), chosen.unnamed[0]
        )
