from pathlib import Path

import pytest

from consumer.export.ranges import Range, file_name, files_of, missing, next_cut


def test_a_name_says_partition_first_and_last_offset() -> None:
    assert file_name("labeled-posts", Range(3, 0, 100_000), "parquet") == (
        "labeled-posts-3-000000000000-000000099999.parquet"
    )


def test_the_names_in_a_folder_are_read_back_and_all_others_passed_over(tmp_path: Path) -> None:
    covered = {Range(3, 0, 100), Range(12, 100, 10**13)}
    for each in covered:
        (tmp_path / file_name("a.b-1", each, "jsonl")).touch()
    for other in ("_export.json", ".unfinished", "axb-1-3-000000000000-000000000009.jsonl", "notes.jsonl"):
        (tmp_path / other).touch()
    (tmp_path / file_name("a.b-1", Range(3, 100, 200), "parquet")).touch()
    (tmp_path / file_name("a.b", Range(1, 0, 200), "jsonl")).touch()

    found = files_of(tmp_path, "a.b-1", "jsonl")

    assert set(found) == covered
    assert found[Range(3, 0, 100)].name == "a.b-1-3-000000000000-000000000099.jsonl"


@pytest.mark.parametrize(
    ("files", "gaps"),
    [
        ([], [(10, 50)]),
        ([(10, 50)], []),
        ([(0, 70)], []),
        ([(10, 20)], [(20, 50)]),
        ([(20, 30)], [(10, 20), (30, 50)]),
        ([(30, 60), (0, 20)], [(20, 30)]),
        ([(0, 5)], [(10, 50)]),
        ([(60, 70)], [(10, 50)]),
        ([(10, 40), (20, 30)], [(40, 50)]),
    ],
)
def test_what_no_file_covers_is_missing(files: list[tuple[int, int]], gaps: list[tuple[int, int]]) -> None:
    others = [Range(0, 0, 100), Range(2, 0, 100)]

    found = list(missing(Range(1, 10, 50), [*others, *(Range(1, *file) for file in files)]))

    assert found == [Range(1, *gap) for gap in gaps]


def test_nothing_is_missing_of_an_empty_partition() -> None:
    assert list(missing(Range(0, 7, 7), [])) == []


def test_files_end_at_the_same_offsets_wherever_they_begin() -> None:
    assert [next_cut(offset, 10) for offset in (0, 9, 10, 15)] == [10, 10, 20, 20]
