"""Classes as strata: how many posts each has, and the posts drawn from it. One pass, memory for what is drawn."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from consumer.evaluate.samples.folder import SampledPost, Stratum
from consumer.evaluate.scores.decide import IMAGE, decide
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.scores.selection import Smallest, rank
from producer.base.settings import Settings


class SampleSettings(Settings):
    """What every sample is drawn from and written to."""

    scores: CliPositionalArg[Path] = Field(description="score folder (of evaluate score)")
    output: Path = Field(validation_alias=AliasChoices("output", "o"), description="sample folder to write")
    seed: int = Field(0, description="of every random choice; the same seed takes the same posts")


class StrataSettings(SampleSettings):
    """How many classes, and posts of each."""

    classes: int = Field(10, ge=1, description="classes to draw from, the most frequent ones")
    per_class: int = Field(100, ge=1, description="posts to draw from each class")


class Strata:
    """Posts by class: all are counted, the `per_class` of the smallest rank are kept.

    Attributes:
        counts: posts of each class.
    """

    def __init__(self, per_class: int, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._per_class = per_class
        self._seed = seed
        self._drawn: dict[str, Smallest[SampledPost]] = {}

    def add(self, post: SampledPost) -> None:
        """Look at a post that has a stratum."""
        place = str(post.stratum)
        self.counts[place] += 1
        if place not in self._drawn:
            self._drawn[place] = Smallest(self._per_class, self._seed)
        self._drawn[place].add(post.post_id, post)

    def draw(self, places: Collection[str]) -> tuple[list[Stratum], list[SampledPost]]:
        """The strata of these places, and their posts in one random order (no class ahead of another)."""
        drawn = {place: self._drawn[place].items() for place in places}
        strata = [Stratum(place, self.counts[place], len(posts)) for place, posts in drawn.items()]
        everyone = [post for posts in drawn.values() for post in posts]
        return strata, sorted(everyone, key=lambda post: rank(self._seed, post.post_id))


def by_image(part: ScorePart, info: ScoreInfo) -> list[str]:
    """The category that the picture alone gives each post, whatever the confidence."""
    return [info.categories[label] for label in decide(IMAGE, part, info).label]


def shortfalls(strata: Sequence[Stratum], settings: StrataSettings) -> list[str]:
    """One line for everything that is less than was asked for."""
    lines = [
        f"{stratum.place}: only {stratum.posts} posts, {settings.per_class} were asked for"
        for stratum in strata
        if stratum.sampled < settings.per_class
    ]
    if len(strata) < settings.classes:
        lines.append(f"only {len(strata)} classes have a post, {settings.classes} were asked for")
    return lines
