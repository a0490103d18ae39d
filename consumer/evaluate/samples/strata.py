"""Classes as strata: how many posts each has, and the posts drawn from it. One pass, memory for what is drawn."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from consumer.evaluate.samples import counts
from consumer.evaluate.samples.enough import too_few
from consumer.evaluate.samples.folder import Kind, SampledPost, Stratum, write_sample
from consumer.evaluate.scores.decide import IMAGE, decide
from consumer.evaluate.scores.folder import ScoreInfo, Scores
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.scores.selection import Smallest, rank
from producer.base.settings import Settings

BY_PICTURE = "by_picture"
"""The column of counts by the picture alone."""


class SampleSettings(Settings):
    """What every sample is drawn from and written to."""

    scores: CliPositionalArg[Path] = Field(description="score folder (of evaluate score)")
    output: Path = Field(
        validation_alias=AliasChoices("output", "o"), description="folder to write: new, or of an earlier run"
    )
    seed: int = Field(0, description="of random choices; the same seed takes the same posts")


class StrataSettings(SampleSettings):
    """How many classes, and posts of each."""

    classes: int = Field(10, ge=1, description="most frequent classes, at most")
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

    def write(
        self,
        settings: StrataSettings,
        kind: Kind,
        scores: Scores,
        places: Collection[str],
        counted: Mapping[str, Mapping[str, int]],
        prelabelled_by: str | None = None,
    ) -> list[Stratum]:
        """Draw from these places, write the sample and its counts, and print these and what is less than asked for.

        Raises:
            CommandError: see `write_sample`.
        """
        drawn = {place: self._drawn[place].items() for place in places}
        strata = [Stratum(place, self.counts[place], len(posts)) for place, posts in drawn.items()]
        everyone = [post for posts in drawn.values() for post in posts]
        posts = sorted(everyone, key=lambda post: rank(self._seed, post.post_id))  # no class ahead of another
        write_sample(settings.output, kind, settings.seed, scores, strata, posts, prelabelled_by)
        sampled = {str(stratum.place): stratum.sampled for stratum in strata}
        counts.write(settings.output, counted, sampled)
        counts.show(counted, sampled)
        for stratum in strata:
            if stratum.sampled < settings.per_class:
                print(f"{stratum.place}: only {stratum.posts} posts, {settings.per_class} were asked for")
        if (warning := too_few([stratum.sampled for stratum in strata])) is not None:
            print(f"warning: {warning}", file=sys.stderr)
        if len(strata) < settings.classes:
            print(f"only {len(strata)} classes have a post, {settings.classes} were asked for")
        return strata


def by_image(part: ScorePart, info: ScoreInfo) -> list[str]:
    """The category that the picture alone gives each post, whatever the confidence."""
    return [info.categories[label] for label in decide(IMAGE, part, info).label]
