"""Which offsets lie in which file: the files' names say it, so what is missing is known without opening one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Offsets of one partition: from `first` to before `end`."""

    partition: int
    first: int
    end: int

    @property
    def offsets(self) -> int:
        """How many; of a transactional topic some of them are no records."""
        return self.end - self.first


def file_name(topic: str, covered: Range, suffix: str) -> str:
    """``labeled-posts-3-000000000000-000000099999.parquet``: partition, first and last offset."""
    return f"{topic}-{covered.partition}-{covered.first:012d}-{covered.end - 1:012d}.{suffix}"


def files_of(folder: Path, topic: str, suffix: str) -> dict[Range, Path]:
    """The files of an export by the offsets that they cover."""
    name = re.compile(rf"{re.escape(topic)}-(\d+)-(\d{{12,}})-(\d{{12,}})\.{suffix}")
    found = ((name.fullmatch(path.name), path) for path in folder.iterdir())
    return {Range(int(match[1]), int(match[2]), int(match[3]) + 1): path for match, path in found if match}


def missing(wanted: Range, files: Iterable[Range]) -> Iterator[Range]:
    """The parts of `wanted` that no file covers, in order."""
    first = wanted.first
    for covered in sorted(each for each in files if each.partition == wanted.partition):
        if covered.first > first:
            yield Range(wanted.partition, first, min(covered.first, wanted.end))
        first = max(first, covered.end)
        if first >= wanted.end:
            return
    if first < wanted.end:
        yield Range(wanted.partition, first, wanted.end)


def next_cut(offset: int, every: int) -> int:
    """The first multiple of `every` above the offset: files end there, wherever they begin."""
    return (offset // every + 1) * every
