"""The command `sample-a`: posts of the classes that both the model and somebody else's labels name often."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

from pydantic import Field

from consumer.evaluate.samples import counts
from consumer.evaluate.samples.folder import SampledPost
from consumer.evaluate.samples.strata import BY_PICTURE, Strata, StrataSettings, by_image
from consumer.evaluate.scores.folder import Scores, read_failed
from producer.base.errors import CommandError
from producer.base.settings import load

PRELABELLED = "prelabelled"


class SampleASettings(StrataSettings):
    """Draw the sample of experiment A: posts of the classes that model and pre-labels both name often.

    Reads a score folder, and pre-labels: a CSV with the columns post_id and place, written by `evaluate prelabel` or
    from anything else. Classes are ranked by the smaller of two counts: of the picture alone without threshold, and of
    the pre-labels. Writes a sample folder: sample.json, posts.csv, counts.csv and counts.png (both counts).
    """

    labels: Path = Field(description="pre-labels, a CSV post_id,place")


def main(argv: list[str]) -> int:
    """Run `sample-a`.

    Args:
        argv: flags of `SampleASettings`.

    Raises:
        CommandError: the scores or the pre-labels cannot be read, or do not fit together.
    """
    settings = load(SampleASettings, "python -m consumer evaluate sample-a", argv)
    scores = Scores.open(settings.scores)
    labels = read_labels(settings.labels, scores.info.categories)
    strata = Strata(settings.per_class, settings.seed)
    named: Counter[str] = Counter()
    unlabelled = 0
    there = set[str]()
    for part in scores.parts():
        named.update(by_image(part, scores.info))
        for post_id, city in zip(part.post_ids, part.cities, strict=True):
            if (place := labels.get(post_id)) is None:
                unlabelled += 1
            else:
                there.add(post_id)
                strata.add(SampledPost(post_id, city, place, place))
    _check_known(settings, labels, there)
    both = {BY_PICTURE: named, PRELABELLED: strata.counts}
    frequent = [place for place in counts.ranked(*both.values()) if min(named[place], strata.counts[place])]
    if not frequent:
        raise CommandError(f"{settings.labels} and {settings.scores} have no class in common: nothing to draw from")
    who = f"{settings.labels.name}@{hashlib.sha256(settings.labels.read_bytes()).hexdigest()[:8]}"
    drawn = strata.write(settings, "a", scores, frequent[: settings.classes], both, who)
    if unlabelled:
        print(f"{unlabelled} posts have no pre-label and are in no class")
    posts = sum(each.sampled for each in drawn)
    print(f"{settings.output}: {posts} posts of {len(drawn)} classes, pre-labelled by {who}")
    return 0


def read_labels(path: Path, categories: tuple[str, ...]) -> dict[str, str]:
    """Pre-labels by post_id; a million take 150 MB.

    Raises:
        CommandError: the file cannot be read, has not the columns, a place that is no category, or a post twice.
    """
    known = {category: category for category in categories}
    labels: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in ("post_id", "place") if name not in (rows.fieldnames or ())]:
                raise CommandError(f"{path}: no column {' and no column '.join(missing)}; it must have post_id,place")
            for row in rows:
                post_id, place = row["post_id"], row["place"]
                if place not in known:
                    raise CommandError(
                        f"{path}, line {rows.line_num}: {place!r} is no place of the scores' label set "
                        f"({counts.named(categories, 3)})"
                    )
                if post_id in labels:
                    raise CommandError(f"{path}, line {rows.line_num}: post {post_id} is there twice")
                labels[post_id] = known[place]
    except (OSError, UnicodeError, csv.Error) as error:
        raise CommandError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not labels:
        raise CommandError(f"{path} has no labels in it")
    return labels


def _check_known(settings: SampleASettings, labels: dict[str, str], there: set[str]) -> None:
    """Labels of posts that failed in the scores are no mistake; labels of others are of another dataset or choice."""
    if len(there) == len(labels):
        return
    failed = {row["post_id"] for row in read_failed(settings.scores)}
    if strange := sorted(labels.keys() - there - failed):
        raise CommandError(
            f"{settings.labels}: {len(strange)} of {len(labels)} labels are of posts that are not in "
            f"{settings.scores} ({counts.named(strange, 3)}): label and score the same posts "
            "(the same dataset, --posts, --seed and --cities)"
        )
