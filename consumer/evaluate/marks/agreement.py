"""The command `agreement`: how far persons who marked the same sample agree, and what they have to settle."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from consumer.evaluate.marks.marks import MOODS, PostMarks, Sheet
from consumer.evaluate.pages.files import BOM, names_of, table, write
from consumer.evaluate.stats.intervals import Bootstrap, Strata, percentiles, share, wilson
from producer.base.errors import CommandError, UsageError
from producer.base.settings import Settings, load

ANSWERS = ("right", "wrong", "cannot tell")
"""What a person may say of a label; what they did not say anything of is left out."""
PLACES = ("a place", "no place", "cannot tell")
"""What a person may say of a picture."""
KNOWN: dict[str, Sequence[str]] = {"label": ANSWERS, "picture": PLACES, "mood": MOODS}
"""By what is asked about."""


class AgreementSettings(Settings):
    """Print Cohen's kappa for each pair of persons who marked the same sample, and write what they have to settle.

    Reads two or more filled sheets of one sample. Writes (-o) a CSV with one row for every label, and every picture
    with or without a place, that they marked differently.
    """

    sheets: CliPositionalArg[list[Path]] = Field(description="filled sheets of the same sample, one of each person")
    rounds: int = Field(1_000, ge=100, description="rounds of the bootstrap")
    seed: int = Field(205, ge=0, description="of random choices")
    output: Path | None = Field(
        None, validation_alias=AliasChoices("output", "o"), description="CSV to write: what is to be settled"
    )


@dataclass(frozen=True, slots=True)
class Kappa:
    """How far two persons agree.

    Attributes:
        about: what they were asked: ``label`` (right or wrong), ``picture`` (a place or none) or
            ``mood`` (of the caption).
        items: answered by both.
        left_out: answered by one of them only.
        agreement: share of items with the same answer.
        kappa: Cohen 1960; not a number when both gave one and the same answer throughout.
        low, high: percentile bootstrap over posts, whose labels stay together; where all answers agree, or none,
            it sees no spread: there they follow from Wilson's interval of the agreement among so many posts.
    """

    one: str
    other: str
    about: str
    items: int
    left_out: int
    agreement: float
    kappa: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Answered:
    """One question to every person.

    Attributes:
        about: as in `Kappa`.
        label: the proposed label; empty when the question is about picture or mood.
        answers: by sheet; None where a person did not answer.
    """

    about: str
    post_id: str
    city: str
    label: str
    answers: tuple[str | None, ...]


def main(argv: list[str]) -> int:
    """Run `agreement`.

    Args:
        argv: flags of `AgreementSettings`.

    Raises:
        CommandError: the sheets are of different samples, or the CSV cannot be written.
    """
    settings = load(AgreementSettings, "python -m consumer evaluate agreement", argv)
    if len(settings.sheets) < 2:
        raise UsageError("two sheets at least are needed, one of each person")
    sheets = [Sheet.read(path) for path in settings.sheets]
    for path, sheet in zip(settings.sheets, sheets, strict=True):
        if sheet.sample != sheets[0].sample:
            raise CommandError(f"{path} is the sheet of another sample than {settings.sheets[0]}")
    names = names_of(settings.sheets)
    questions = ask(sheets)
    _print(kappas(names, questions, settings.rounds, settings.seed))
    differing = [each for each in questions if len({answer for answer in each.answers if answer}) > 1]
    print(
        f"{len(differing):,} answers to settle" + (f": {settings.output}" if settings.output else " (-o writes them)")
    )
    if settings.output:
        rows = ([each.post_id, each.city, each.label, *each.answers, each.about] for each in differing)
        write(settings.output, BOM + table(["post_id", "city", "label", *names, "about"], rows))
    return 0


def ask(sheets: Sequence[Sheet]) -> list[Answered]:
    """Every question that somebody answered: is there a place, is each label right, which mood has the caption."""
    by_post: dict[str, list[PostMarks | None]] = {}
    for number, sheet in enumerate(sheets):
        for post in sheet.posts:
            by_post.setdefault(post.post_id, [None] * len(sheets))[number] = post
    questions = []
    for post_id, posts in by_post.items():
        shown = [post for post in posts if post is not None]
        labels = dict.fromkeys(label for post in shown for label in post.labels)
        asked = [
            ("picture", "", tuple(_answer(post, "") for post in posts)),
            *(("label", label, tuple(_answer(post, label) for post in posts)) for label in labels),
            ("mood", "", tuple(None if post is None else post.mood for post in posts)),
        ]
        questions += [Answered(about, post_id, shown[0].city, label, said) for about, label, said in asked if any(said)]
    return questions


def kappas(names: Sequence[str], questions: Sequence[Answered], rounds: int, seed: int) -> list[Kappa]:
    """Cohen's kappa of every pair, about labels, pictures, and moods where they were asked."""
    found = []
    for (i, one), (j, other) in itertools.combinations(enumerate(names), 2):
        for about, known in KNOWN.items():
            asked = [each for each in questions if each.about == about]
            if about == "mood" and not asked:
                continue
            answered = [each for each in asked if each.answers[i] or each.answers[j]]
            both = [each for each in answered if each.answers[i] and each.answers[j]]
            pairs = [(each.answers[i] or "", each.answers[j] or "") for each in both]
            post_ids = [each.post_id for each in both]
            numbers = kappa(pairs, post_ids, known, rounds, seed)
            found.append(Kappa(one, other, about, len(both), len(answered) - len(both), *numbers))
    return found


def kappa(
    pairs: Sequence[tuple[str, str]], post_ids: Sequence[str], known: Sequence[str], rounds: int, seed: int
) -> tuple[float, float, float, float]:
    """Agreement, Cohen's kappa, and its interval, as in `Kappa`; not numbers without answers.

    Args:
        pairs: the answers of both to each question.
        post_ids: whose question it is.
        known: what may be answered.
        rounds: of the bootstrap.
        seed: of it.
    """
    if not pairs:
        return np.nan, np.nan, np.nan, np.nan
    number = {answer: index for index, answer in enumerate(known)}
    row = {post_id: index for index, post_id in enumerate(dict.fromkeys(post_ids))}
    tables = np.zeros((len(row), len(known), len(known)))
    for post_id, (first, second) in zip(post_ids, pairs, strict=True):
        tables[row[post_id], number[first], number[second]] += 1
    whole = tables.sum(axis=0)
    everyone = Strata((), np.zeros(len(row), np.int64), np.array([float(len(row))]))
    sums = Bootstrap.within(everyone, rounds, seed).sums(np.ones(len(row)), tables.reshape(len(row), -1))
    low, high = percentiles(kappa_of(sums.reshape(rounds, *whole.shape)))
    agreed, expected = float(np.trace(whole) / whole.sum()), float(_expected(whole[None])[0])
    if agreed in (0.0, 1.0) and expected < 1:
        low, high = (
            (end - expected) / (1 - expected) for end in wilson(np.array(agreed * len(row)), np.array(len(row)))
        )
    return agreed, float(kappa_of(whole[None])[0]), float(low), float(high)


def kappa_of(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa of many tables of counts ``[rounds, answers, answers]`` at once, which scikit-learn has not.

    Not a number where all answers are the same.
    """
    observed, expected = share(np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2))), _expected(tables)
    return share(observed - expected, 1 - expected)


def _expected(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the same answers that chance gives to persons who answer so often so, ``[rounds]``."""
    return share((tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1), tables.sum(axis=(1, 2)) ** 2)


def _answer(post: PostMarks | None, label: str) -> str | None:
    """What was said of a label, or (without one) of the picture; None where nothing was."""
    if post is None or post.unmarked or (label and label not in post.labels):
        return None
    if post.cannot_tell:
        return "cannot tell"
    if not label:
        return "no place" if post.no_place else "a place"
    verdict = post.verdict(label)
    return None if verdict == "unjudged" else verdict


def _print(found: Sequence[Kappa]) -> None:
    for each in found:
        who = f"{each.one}, {each.other}, {each.about}s"
        if not each.items:
            print(f"{who}: nothing that both answered")
            continue
        interval = "" if np.isnan(each.low) else f" (95 % CI {each.low:.2f} to {each.high:.2f})"
        kappa = "kappa – (all answers are the same)" if np.isnan(each.kappa) else f"kappa {each.kappa:.2f}{interval}"
        only = f"; {each.left_out:,} answered by one only" if each.left_out else ""
        print(f"{who}: {kappa}, {each.agreement:.1%} of {each.items:,} answers are the same{only}")
