"""The command `sample-b`: posts of the classes that are most frequent by the picture alone, without a threshold."""

from consumer.evaluate.samples import counts
from consumer.evaluate.samples.folder import SampledPost
from consumer.evaluate.samples.strata import BY_PICTURE, Strata, StrataSettings, by_image
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError
from producer.base.settings import load


class SampleBSettings(StrataSettings):
    """Draw the sample of experiment B: posts of the classes most frequent by the picture alone, without threshold.

    Reads a score folder. Writes a sample folder: sample.json, posts.csv, counts.csv and counts.png (how many posts each
    class has).
    """


def main(argv: list[str]) -> int:
    """Run `sample-b`.

    Args:
        argv: flags of `SampleBSettings`.

    Raises:
        CommandError: the scores cannot be read, or there is no post in them.
    """
    settings = load(SampleBSettings, "python -m consumer evaluate sample-b", argv)
    scores = Scores.open(settings.scores)
    strata = Strata(settings.per_class, settings.seed)
    for part in scores.parts():
        for post_id, city, place in zip(part.post_ids, part.cities, by_image(part, scores.info), strict=True):
            strata.add(SampledPost(post_id, city, place, None))
    if not strata.counts:
        raise CommandError(f"{settings.scores} has no post to draw: every picture failed, see its failed.csv")
    frequent = counts.ranked(strata.counts)[: settings.classes]
    drawn = strata.write(settings, "b", scores, frequent, {BY_PICTURE: strata.counts})
    print(f"{settings.output}: {sum(each.sampled for each in drawn)} posts of {len(drawn)} classes")
    return 0
