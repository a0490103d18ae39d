from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from consumer.evaluate.scores.folder import PLACES, Scores, places_table
from consumer.evaluate.scores.parts import ScorePart, part_name
from producer.base.errors import CommandError
from tests.unit.consumer.evaluate.made_up import head, made_up, table_of, write_folder

CATEGORIES = ("abbey", "bridge", "coast")


def some_posts(first: int, posts: int) -> ScorePart:
    """Every second with a caption; that of the second post was not encoded."""
    chance = np.random.default_rng(first)
    has_caption = chance.random(posts) < 0.5
    has_caption[:2] = True
    text = chance.uniform(-1, 1, (posts, 3))
    text[~has_caption] = text[1] = np.nan
    part = made_up(
        chance.uniform(-1, 1, (posts, 3)), text, [f"p{first + number}" for number in range(posts)], has_caption
    )
    moments = [datetime(2017, 3, 29, 2, 30, 13, 147_000, UTC) if number % 2 else None for number in range(posts)]
    return replace(part, cities=["zürich"] * posts, created_at=moments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten posts in two parts."""
    return write_folder(tmp_path, (some_posts(0, 6), some_posts(6, 4)), CATEGORIES, 10)


def test_parts_come_as_they_were_written(folder: Path) -> None:
    first, second = Scores.open(folder).parts()

    for found, written in ((first, some_posts(0, 6)), (second, some_posts(6, 4))):
        assert found.post_ids == written.post_ids
        assert found.cities == written.cities
        assert found.created_at == written.created_at
        assert found.has_caption.tolist() == written.has_caption.tolist()
        assert found.has_text.tolist() == written.has_text.tolist()
        np.testing.assert_array_equal(found.image, written.image)
        np.testing.assert_array_equal(found.text, written.text)


def test_a_part_is_a_table_as_the_contract_says(folder: Path) -> None:
    """The columns of an export of vectors, but those of records."""
    schema = parquet.read_schema(folder / part_name(0))

    assert {field.name: str(field.type).replace("element", "item") for field in schema} == {
        "post_id": "string",
        "city": "string",
        "created_at": "timestamp[ms, tz=UTC]",
        "sentiment": "double",
        "language": "string",
        "caption": "bool",
        "encoder": "string",
        "dimensions": "int32",
        "image": "fixed_size_list<item: halffloat>[3]",
        "text": "fixed_size_list<item: halffloat>[3]",
        "descriptor": "fixed_size_list<item: halffloat>[3]",
    }
    text = parquet.read_table(folder / part_name(0)).column("text").to_pylist()
    assert [row is None for row in text] == [not there for there in some_posts(0, 6).has_text]


def test_chosen_posts_come_in_the_order_asked_for(folder: Path) -> None:
    part = Scores.open(folder).of(["p8", "p1", "p6", "p1"])
    first, second = some_posts(0, 6), some_posts(6, 4)

    assert part.post_ids == ["p8", "p1", "p6", "p1"]
    np.testing.assert_array_equal(part.image, np.concatenate([first.image, second.image])[[8, 1, 6, 1]])
    np.testing.assert_array_equal(part.text, np.concatenate([first.text, second.text])[[8, 1, 6, 1]])
    assert Scores.open(folder).of([]).image.shape == (0, 3)


def test_chosen_posts_that_are_not_there_are_named(folder: Path) -> None:
    with pytest.raises(CommandError, match="has no scores of post x1, x2, x3 and 2 more"):
        Scores.open(folder).of(["p1", "x1", "x2", "x3", "x4", "x5"])


def test_failed_posts_count_as_posts(folder: Path) -> None:
    write_folder(folder, (), CATEGORIES, 12)
    (folder / "failed.csv").write_text('post_id,reason,message\nx,not_an_image,"a, b"\ny,not_an_image,c\n')

    assert Scores.open(folder).info.posts == 12


def other_columns(path: Path) -> None:
    parquet.write_table(parquet.read_table(path).drop_columns("image"), path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_what_is_no_whole_score_folder_is_one_clear_line(folder: Path) -> None:
    with pytest.raises(CommandError, match=r"is no score folder \(no scores.json\): .* evaluate score writes one"):
        Scores.open(folder / "nowhere")
    for changes, what in (
        ({"complete": False}, "is not complete: run evaluate score again"),
        ({"categories": None}, "scores.json is not whole"),
        ({"dataset": {"path": "/data"}}, "scores.json is not whole: .*posts Field required"),
    ):
        write_folder(folder, (), CATEGORIES, 10, **changes)
        with pytest.raises(CommandError, match=what):
            Scores.open(folder)
    for text in ('{"version": 2, "enc', '{"version": 1}'):
        (folder / "scores.json").write_text(text)
        with pytest.raises(CommandError, match="scores.json cannot be read"):
            Scores.open(folder)


def test_a_folder_of_cosines_is_refused_with_the_command_that_renews_it(folder: Path) -> None:
    choice = {"posts": 500, "seed": 7, "cities": ["rome", "new york"]}
    write_folder(folder, (), CATEGORIES, 10, version=1, choice=choice, path="/my data")

    with pytest.raises(CommandError) as refused:
        Scores.open(folder)

    command = f"python -m consumer evaluate score '/my data' -o {folder} --posts 500 --seed 7 --cities 'rome,new york'"
    assert (
        f"is of version 1, this program reads 3: delete the folder, and score its posts again: {command} with the"
        in str(refused.value)
    )


@pytest.mark.parametrize("damage", [cut, Path.unlink, lambda path: None], ids=["cut", "gone", "others"])
def test_places_that_are_not_the_folder_s_are_one_clear_line(folder: Path, damage: Callable[[Path], None]) -> None:
    parquet.write_table(places_table(head(("abbey", "bridge", "desert"))), folder / PLACES)
    damage(folder / PLACES)

    with pytest.raises(CommandError, match=r"places.parquet (cannot be read|has other places than)"):
        Scores.open(folder)


def test_a_missing_or_broken_part_is_one_clear_line(folder: Path) -> None:
    second = (folder / part_name(1)).read_bytes()
    (folder / part_name(1)).unlink()
    with pytest.raises(CommandError, match="was cut short: 10 posts were scored, 6 are in its parts and 0 in failed"):
        Scores.open(folder)
    (folder / part_name(2)).write_bytes(second)
    with pytest.raises(CommandError, match="part-00001.parquet is missing"):
        Scores.open(folder)
    (folder / part_name(2)).rename(folder / part_name(1))
    cut(folder / part_name(1))
    with pytest.raises(CommandError, match="part-00001.parquet is broken"):
        Scores.open(folder)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"encoder": "clip"}, r"another model \(clip\) than its folder \(made up\): restore the part, or score again$"),
        ({"ids_sha256": "cd"}, r"another dataset or choice of posts \(cd\) than its folder \(ab\)"),
    ],
)
def test_a_part_of_another_folder_is_one_clear_line(folder: Path, changed: dict[str, str], what: str) -> None:
    """As many posts, of the same shape: nothing but its stamp tells it apart."""
    stamp = {"encoder": "made up", "ids_sha256": "ab"}
    parquet.write_table(table_of(some_posts(6, 4), stamp), folder / part_name(1))
    Scores.open(folder)
    parquet.write_table(table_of(some_posts(6, 4), stamp | changed), folder / part_name(1))
    with pytest.raises(CommandError, match=rf"part-00001.parquet is of {what}"):
        Scores.open(folder)


def test_a_part_of_another_shape_is_one_clear_line(folder: Path) -> None:
    other_columns(folder / part_name(0))
    with pytest.raises(CommandError, match="part-00000.parquet: its columns are not those of vectors of 3 numbers"):
        list(Scores.open(folder).parts())
