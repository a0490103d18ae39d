"""Which cities have counters of their own: a cap, so that who invents cities fills neither Redis nor its readers."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from consumer.labeled_post import LabeledPost

MOST = 1_000
"""Cities of one partition that keep their name, besides those of the cities file."""
OTHER = "_other"
"""The city that posts of all others count under."""


@dataclass(frozen=True, slots=True)
class LabeledRecord:
    """A labelled post, and where in the labelled topic it lies."""

    partition: int
    offset: int
    post: LabeledPost


class KnownCities:
    """The cities that keep their name: those of the cities file, and of each partition the first `MOST` others.

    First in the order of offsets: so they are a pure function of the labelled topic and of the cities file, whoever
    reads, in whatever chunks. No city has the name `OTHER`: posts that claim it count with those of the others.
    """

    def __init__(self, always: Container[str], first: Mapping[int, Mapping[str, int]] | None = None) -> None:
        """Know what is known already.

        Args:
            always: cities that keep their name and take no room.
            first: partition -> city -> offset of its first post, of the records that are passed.
        """
        self._always = always
        self.first = {partition: dict(cities) for partition, cities in (first or {}).items()}
        self.beyond: str | None = None  # a city that does not keep its name, if there was one
        self._new: dict[int, dict[str, int]] = {}

    def named(self, record: LabeledRecord) -> LabeledPost:
        """The post under the city that it counts under.

        Args:
            record: comes after all others of its partition that were given.
        """
        post = record.post
        if post.city in self._always or self._is_known(record):
            return post
        self.beyond = post.city
        return post.model_copy(update={"city": OTHER})

    def posts(self, records: Iterable[LabeledRecord], counted: Mapping[int, int | None]) -> Iterator[LabeledPost]:
        """The posts that are to be counted, each under the city that it counts under.

        Args:
            records: come after all others of their partitions that were given.
            counted: partition -> offset below which posts are counted already; these make their cities known, no more.
        """
        for record in records:
            post = self.named(record)
            if record.offset >= (counted.get(record.partition) or 0):
                yield post

    def take_new(self) -> dict[int, dict[str, int]]:
        """What has become known since the last call, as `first`."""
        new, self._new = self._new, {}
        return new

    def _is_known(self, record: LabeledRecord) -> bool:
        city, first = record.post.city, self.first.setdefault(record.partition, {})
        if city not in first:
            if city == OTHER or len(first) >= MOST:
                return False
            first[city] = self._new.setdefault(record.partition, {})[city] = record.offset
        return True
