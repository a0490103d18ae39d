"""Stage `read`: that of `label`, of the vectors that were written within a range of time."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from kafka import TopicPartition

from consumer.kafka.offsets import ends_of, starts_at
from consumer.label.read import Source
from consumer.moment import milliseconds
from consumer.relabel.settings import RelabelSettings


class Range(Source):
    """The vectors topic as batches, from SINCE to before UNTIL. Owned by the main thread."""

    _settings: RelabelSettings

    def _choose_starts(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        starts, latest = super()._choose_starts()
        if self._settings.since is not None:
            first = starts_at(self._admin, ends_of(self._admin, self._settings.input_topic), self._settings.since)
            starts = {partition: max(offset, first.get(partition, 0)) for partition, offset in starts.items()}
        return starts, latest

    def _begin_trials(self, starts: Mapping[TopicPartition, int], latest: Mapping[TopicPartition, int]) -> None:
        """None: vectors end no worker, and thousands of small records would be tried one by one after a kill."""

    def _wanted(self, polled: Mapping[TopicPartition, Sequence[Any]]) -> Mapping[TopicPartition, Sequence[Any]]:
        since, until = self._settings.since, self._settings.until
        if since is None and until is None:
            return polled
        first, end = milliseconds(since) if since else -inf, milliseconds(until) if until else inf
        wanted = {
            partition: [record for record in records if first <= record.timestamp < end]
            for partition, records in polled.items()
        }
        return {partition: records for partition, records in wanted.items() if records}
