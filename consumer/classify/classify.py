"""``python -m consumer classify``: what a model makes of some pictures, for people who would rather look than read."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.factory import build_classifier
from consumer.classify.label import Label
from consumer.classify.pictures.decode import PictureError
from consumer.classify.settings import ClassifySettings
from producer.base.errors import UsageError
from producer.base.settings import load
from producer.post import Post

BATCH = 16


class ClassifyCommand(ClassifySettings):
    """Classify pictures."""

    pictures: CliPositionalArg[list[Path]] = Field(description="picture files")
    caption: str | None = Field(None, description="caption of every picture")
    top: int = Field(5, ge=1, description="places of each ranking")
    json_: bool = Field(False, alias="json", description="print a line of JSON for each picture")


def main(argv: list[str]) -> int:
    """Classify pictures; a bad one is named on stderr and the others still come.

    Returns:
        0, or 1 when a picture could not be classified.
    """
    settings = load(ClassifyCommand, "python -m consumer classify", argv)
    if not settings.pictures:
        raise UsageError("no picture given")
    classifier = build_classifier(settings, top=settings.top)
    failed: list[str] = []
    results = _classify(classifier, settings, failed)
    if settings.json_:
        for path, label in results:
            print(json.dumps({"picture": str(path), **_as_dict(label)}, ensure_ascii=False), flush=True)
    else:
        _print_table(classifier, results)
    for line in failed:
        print(f"python -m consumer classify: {line}", file=sys.stderr)
    return 1 if failed else 0


def _classify(classifier: Classifier, settings: ClassifyCommand, failed: list[str]) -> Iterator[tuple[Path, Label]]:
    """Labels in the order of the pictures; a line in ``failed`` for each picture that has none."""
    batch: list[tuple[Path, Decoded]] = []
    for path in settings.pictures:
        try:
            with path.open("rb") as file:  # one byte above the limit is enough to see that it is exceeded
                post = Post(str(path), "nowhere", file.read(settings.max_image_bytes + 1), settings.caption)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}")
            continue
        (outcome,) = classifier.decode_each([post])
        if isinstance(outcome, PictureError):
            failed.append(f"{path}: {outcome.reason}: {outcome}")
        else:
            batch.append((path, outcome))
        if len(batch) == BATCH:
            yield from _label(classifier, batch)
            batch.clear()
    yield from _label(classifier, batch)


def _label(classifier: Classifier, batch: list[tuple[Path, Decoded]]) -> Iterator[tuple[Path, Label]]:
    labels = classifier.label([decoded for _, decoded in batch])
    return zip([path for path, _ in batch], labels, strict=True)


def _as_dict(label: Label) -> dict[str, object]:
    """The fields of a labelled post that are known here, rounded as there."""
    fields = asdict(replace(label, vectors=None))
    del fields["caption_use"], fields["vectors"]
    rounded: dict[str, object] = json.loads(json.dumps(fields), parse_float=lambda number: round(float(number), 4))
    return rounded


def _print_table(classifier: Classifier, results: Iterator[tuple[Path, Label]]) -> None:
    decision = classifier.decision
    table = Table(caption=f"{classifier.encoder_name}, {classifier.places_stamp}, threshold {decision.threshold:g}")
    for heading in ("picture", "by image", "by caption", "combined"):
        table.add_column(heading, overflow="fold", min_width=16)
    for path, label in results:
        table.add_row(
            _summary(path, label),
            _lines(label.image.top),
            _lines(label.text.top) if label.text else "",
            _lines(label.top) if label.text else "",
            end_section=True,
        )
    if table.row_count:
        Console().print(table)


def _summary(path: Path, label: Label) -> Text:
    sentiment = "" if label.sentiment is None else f"\nsentiment {label.sentiment:+.2f}"
    place = (label.place, "bold") if label.place else ("not classified", "dim")
    broader = f"\n{label.broader.name} {label.broader.confidence:.2f}" if label.broader else ""
    by = f"\ndecided by {label.decided_by}"
    return Text.assemble(path.name, "\n", place, f" {label.confidence:.2f}{broader}{by}{sentiment}")


def _lines(top: tuple[tuple[str, float], ...]) -> str:
    return "\n".join(f"{probability:.2f} {place}" for place, probability in top)
