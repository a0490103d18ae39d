"""The command `sample-c`: random posts of the whole dataset."""

from pydantic import Field

from consumer.evaluate.samples.folder import SampledPost, Stratum, write_sample
from consumer.evaluate.samples.strata import SampleSettings
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.scores.selection import Smallest
from producer.base.errors import CommandError
from producer.base.settings import load


class SampleCSettings(SampleSettings):
    """Draw random posts of the whole dataset: for its overall accuracy, and for pictures that show no place.

    Reads a score folder. Writes a sample folder: sample.json and posts.csv.
    """

    posts: int = Field(500, ge=1, description="posts to draw")


def main(argv: list[str]) -> int:
    """Run `sample-c`.

    Args:
        argv: flags of `SampleCSettings`.

    Raises:
        CommandError: the scores cannot be read, or there is no post in them.
    """
    settings = load(SampleCSettings, "python -m consumer evaluate sample-c", argv)
    scores = Scores.open(settings.scores)
    smallest = Smallest[SampledPost](settings.posts, settings.seed)
    there = 0
    for part in scores.parts():
        there += len(part)
        for post_id, city in zip(part.post_ids, part.cities, strict=True):
            smallest.add(post_id, SampledPost(post_id, city, None, None))
    posts = smallest.items()
    if not posts:
        raise CommandError(f"{settings.scores} has no post to draw: every picture failed, see its failed.csv")
    write_sample(settings.output, "c", settings.seed, scores, [Stratum(None, there, len(posts))], posts)
    if len(posts) < settings.posts:
        print(f"only {len(posts)} posts are there, {settings.posts} were asked for")
    print(f"{settings.output}: {len(posts)} of {there} posts")
    return 0
