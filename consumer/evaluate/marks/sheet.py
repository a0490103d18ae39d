"""The command `sheet`: the page on which a person marks a sample's labels, and the same as an empty CSV.

Which labels are shown is decided here; what the page does with them is in `templates/sheet.js`.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from consumer.classify.captions import ENGLISH
from consumer.classify.language import language
from consumer.classify.places import Places, readable
from consumer.evaluate.marks.gallery import Shown, shown
from consumer.evaluate.marks.marks import MOODS, YES, PostMarks, Sheet, model_name
from consumer.evaluate.marks.truth import check_fit
from consumer.evaluate.pages import page
from consumer.evaluate.pages.files import write
from consumer.evaluate.samples.folder import Sample, SampledPost
from consumer.evaluate.scores.decide import ENSEMBLES, Ensemble, FurtherEnsembles, decidable, decide
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError
from producer.base.settings import load

CSV = "sheet.csv"
PICTURES = "pictures"
SIDE = 1_000
"""Longest side of a picture on the page, in pixels."""
LONGEST_HINT = 90


class SheetSettings(FurtherEnsembles):
    """Write the page on which a person marks the labels of a sample, right or wrong, without knowing whose they are.

    Reads the sample folder, its score folder and further ones (--scores) or a label set (--places), and the pictures of
    the dataset. The labels are those of the talk's ensembles, and of further ones (--ensemble, as for `evaluate
    curves`). Writes index.html with pictures/, which open without a server, and sheet.csv: the same, empty. Marks stay
    in the browser; the page saves them as CSV for `evaluate curves --marks`. A sheet.csv with marks in it is never
    overwritten.
    """

    sample: CliPositionalArg[Path] = Field(description="sample folder (of evaluate sample-a, sample-b or sample-c)")
    scores: list[Path] = Field([], description="score folder whose labels are shown as well; may be repeated")
    places: Path | None = Field(None, description="label set whose labels are shown as well, on the sample's scores")
    sample_scores: Path | None = Field(None, description="the sample's score folder, if moved")
    dataset: Path | None = Field(None, description="the pictures, if moved")
    confirm_prelabels: bool = Field(False, description="ask only whether the pre-label is right (sample-a)")
    mood: bool = Field(False, description="ask for the mood of each English caption, too")
    output: Path = Field(
        validation_alias=AliasChoices("output", "o"), description="folder to write: new, or of an earlier run"
    )


@dataclass(frozen=True, slots=True)
class Question:
    """A post and the labels to be judged, in the order shown."""

    post: SampledPost
    labels: tuple[str, ...]


def main(argv: list[str]) -> int:
    """Run `sheet`.

    Args:
        argv: flags of `SheetSettings`.

    Raises:
        CommandError: sample, scores and dataset do not fit together, or the folder cannot be written.
    """
    settings = load(SheetSettings, "python -m consumer evaluate sheet", argv)
    sample = Sample.open(settings.sample)
    _check_free(settings.output)
    if settings.confirm_prelabels:
        questions = prelabels(sample)
        sheet = empty_sheet(sample, questions, confirm=True)
    else:
        own = sample.scores(settings.sample_scores)
        other = own.with_places(settings.places)
        folders = [own, *([other] if other is not own else []), *map(Scores.open, settings.scores)]
        proposing = _proposing(sample, folders, settings.with_further(*ENSEMBLES))
        questions = pool(sample, folders, proposing)
        sheet = empty_sheet(sample, questions, tuple(dict.fromkeys(map(_model, folders))), proposing)
    _write(settings, sample, sheet)
    labels = sum(len(each.labels) for each in questions)
    print(f"{settings.output / 'index.html'}: {len(questions)} posts, {labels} labels to judge")
    return 0


def _proposing(sample: Sample, folders: Sequence[Scores], ensembles: tuple[Ensemble, ...]) -> tuple[Ensemble, ...]:
    """Those that can decide every post in all folders: the sheet says of an ensemble that it proposed."""
    for scores in folders:
        part = scores.of([post.post_id for post in sample.posts])
        ensembles, left_out = decidable(ensembles, part, scores.info)
        if left_out:
            print(f"warning: ensembles are left out, {scores.folder}: {left_out}", file=sys.stderr)
    return ensembles


def pool(sample: Sample, folders: Sequence[Scores], ensembles: Sequence[Ensemble] = ENSEMBLES) -> list[Question]:
    """Every distinct label that any ensemble proposes with any of the scores, shuffled; posts likewise.

    Args:
        sample: the posts.
        folders: its own scores and any others.
        ensembles: those of the talk, and any others.

    Raises:
        CommandError: scores of another dataset or label set.
    """
    ids = [post.post_id for post in sample.posts]
    proposed: list[set[str]] = [set() for _ in ids]
    for scores in folders:
        check_fit(scores.folder, scores.info, sample)
        part = scores.of(ids)
        for ensemble in ensembles:
            for labels, label in zip(proposed, decide(ensemble, part, scores.info).label, strict=True):
                if label >= 0:  # a caption alone proposes nothing where there is none
                    labels.add(scores.info.categories[label])
    return _shuffled(
        sample, [Question(post, tuple(labels)) for post, labels in zip(sample.posts, proposed, strict=True)]
    )


def prelabels(sample: Sample) -> list[Question]:
    """The pre-label alone, posts shuffled.

    Raises:
        CommandError: the sample has none.
    """
    if any(post.prelabel is None for post in sample.posts):
        raise CommandError(f"--confirm-prelabels: {sample.folder} has no pre-labels; evaluate sample-a draws some")
    return _shuffled(sample, [Question(post, (post.prelabel,)) for post in sample.posts if post.prelabel])


def empty_sheet(
    sample: Sample,
    questions: Sequence[Question],
    pooled: tuple[str, ...] = (),
    proposing: Sequence[Ensemble] = (),
    *,
    confirm: bool = False,
) -> Sheet:
    """The sheet that nobody has marked yet; it says the pre-label only where that is the question (confirm)."""
    posts = (
        PostMarks(
            each.post.post_id, each.post.city, each.post.stratum, each.post.prelabel if confirm else None, each.labels
        )
        for each in questions
    )
    return Sheet(sample.sha256, pooled, tuple(posts), tuple(ensemble.name for ensemble in proposing))


def _shuffled(sample: Sample, questions: Sequence[Question]) -> list[Question]:
    """Posts and labels in an order that says nothing: neither the stratum nor who proposed what."""

    def chance(*names: str) -> str:
        return hashlib.sha256("|".join((str(sample.seed), "sheet", *names)).encode()).hexdigest()

    def shuffled(each: Question) -> Question:
        return Question(each.post, tuple(sorted(each.labels, key=lambda label: chance(each.post.post_id, label))))

    return sorted(map(shuffled, questions), key=lambda each: chance(each.post.post_id))


def _model(scores: Scores) -> str:
    return model_name(scores.info.encoder, scores.info.places)


def _check_free(folder: Path) -> None:
    if not (folder.is_dir() and any(folder.iterdir())):
        return
    path = folder / CSV
    if not path.is_file():
        raise CommandError(f"{folder} is not empty and no earlier sheet: choose another folder")
    posts = Sheet.read(path).posts
    if marked := sum(not post.unmarked or post.mood is not None for post in posts):
        raise CommandError(
            f"{path} holds marks of {marked:,} of {len(posts):,} posts, which an empty sheet would overwrite: choose "
            "another folder"
        )


def _write(settings: SheetSettings, sample: Sample, sheet: Sheet) -> None:
    dataset = settings.dataset or sample.dataset
    names = {post.post_id: f"{number:05d}.jpg" for number, post in enumerate(sheet.posts, start=1)}
    rows = {post.post_id: post for post in sheet.posts}
    posts: dict[str, dict[str, Any]] = {}
    for picture in shown(dataset, names, SIDE):  # one at a time: a thousand of them would be hundreds of megabytes
        name = names[picture.post_id]
        write(settings.output / PICTURES / name, picture.jpeg)
        asked = settings.mood and language(picture.caption) == ENGLISH
        posts[picture.post_id] = _post(rows[picture.post_id], picture, name) | {"mood": asked}
    data = {
        "sample": sheet.sample,
        "first": sheet.text().partition("\n")[0],
        "yes": YES,
        "moods": MOODS,
        "key": f"placestream sheet {sheet.sample}" + (" prelabels" if settings.confirm_prelabels else ""),
        "places": _places(sample),
        "posts": [posts[post.post_id] for post in sheet.posts],
    }
    html = page.render(
        "sheet.html.j2",
        ("sheet.css",),
        "sheet.js",
        data=data,
        posts=len(sheet.posts),
        confirm=settings.confirm_prelabels,
        mood=settings.mood,
        sample=sheet.sample[:8],
    )
    sheet.write(settings.output / CSV)
    write(settings.output / "index.html", html)
    _delete_others(settings.output / PICTURES, set(names.values()))


def _delete_others(folder: Path, names: set[str]) -> None:
    """The pictures that an earlier, larger sheet left; what is not named as we name them stays."""
    for path in folder.iterdir():
        if re.fullmatch(r"\d{5,}\.jpg", path.name) and path.name not in names:
            path.unlink()


def _post(post: PostMarks, picture: Shown, name: str) -> dict[str, Any]:
    return {
        "id": post.post_id,
        "city": post.city,
        "stratum": post.stratum or "",
        "prelabel": post.prelabel or "",
        "labels": post.labels,
        "picture": f"{PICTURES}/{name}",
        "width": picture.width,
        "height": picture.height,
        "caption": picture.caption or "",
    }


def _places(sample: Sample) -> list[tuple[str, str, str]]:
    """Category, as one reads it, and what one sees there where the label set is our own."""
    known = {place.category: place.description for place in Places.load().places}
    return [
        (category, readable(category), _shortened(known.get(category, ""))) for category in sorted(sample.categories)
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_HINT else f"{text[:LONGEST_HINT].rsplit(' ', 1)[0]} …"
