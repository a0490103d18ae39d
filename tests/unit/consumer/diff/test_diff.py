"""Two sets of labels compared: joined by post, the last label counts, and intervals are of matched pairs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consumer.diff import diff
from consumer.diff.compare import Shift, compare
from consumer.diff.read import Labelled, Names, Side
from producer.base.errors import CommandError

DECISION = {"ensemble": "conditional", "weights": [0.8, 0.8], "gate": 0.6, "threshold": 0.3}


def row(post_id: str, place: str | None, city: str = "london", sure: float = 0.9, by: str = "image") -> dict[str, Any]:
    """As `export` writes it."""
    return {
        "post_id": post_id,
        "city": city,
        "place": place,
        "decided_by": by,
        "image": {"place": place or "pub", "confidence": sure, "top": []},
        "decision": DECISION,
        "encoder": "light",
        "places": "colours@1",
    }


def difference(a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]]) -> Any:
    places, cities = Names(), Names()
    one, other = (Side.of("", map(Labelled.model_validate, rows), places, cities) for rows in (a, b))
    return (one, other), compare(one, other, places, cities)


def test_posts_of_both_are_compared_and_changes_counted() -> None:
    a = [row(str(number), "pub") for number in range(8)] + [row("only-a", "pub")]
    b = [row(str(number), ["pub", "bar", None, "bar"][number % 4]) for number in range(8)] + [row("only-b", "pub")]

    (_, _), found = difference(a, b)

    assert (found.only_a, found.only_b, found.both.posts, found.both.equal) == (1, 1, 8, 2)
    assert [(each.before, each.after, each.posts) for each in found.changes] == [("pub", "bar", 4), ("pub", None, 2)]


def test_of_several_labels_of_a_post_the_last_one_counts() -> None:
    (a, b), found = difference([row("1", "pub"), row("2", "pub"), row("1", "bar")], [row("1", "bar"), row("2", "pub")])

    assert (a.doubled, b.doubled, found.both.equal) == (1, 0, 2)


def test_a_citys_shares_and_their_change_are_of_its_own_posts() -> None:
    a = [row(str(number), "pub", city) for number, city in enumerate(["london", "paris", "london"])]
    b = [row("0", "bar"), row("1", "pub", "paris"), row("2", "pub")]

    _, found = difference(a, b)

    assert [(city.city, city.posts) for city in found.cities] == [("london", 2), ("paris", 1)]
    shifts = {shift.place: (shift.before, shift.after, shift.change) for shift in found.cities[0].shifts}
    assert shifts == {"bar": (0, 1, 0.5), "pub": (2, 1, -0.5)}
    (unmoved,) = found.cities[1].shifts
    assert unmoved.change == 0
    assert unmoved.low < -0.1 < 0.1 < unmoved.high, "of one post that is the same nothing is known"


def test_the_interval_is_that_of_matched_pairs() -> None:
    """Approval of a prime minister in two surveys of the same people: Agresti 2002, table 10.1."""
    shift = Shift.of("approves", 1600, 944, 880, 794)

    assert (shift.change, shift.low, shift.high) == pytest.approx((-0.04, -0.0587, -0.0213), abs=2e-4)


def test_posts_that_the_picture_decided_on_one_side_although_a_caption_was_asked_for_are_told_apart() -> None:
    a = [row("sure", "pub"), row("unsure", "bar", sure=0.4), row("read", "bar", sure=0.4, by="ensemble")]
    b = [row("sure", "pub", sure=0.5), row("unsure", "bar", sure=0.4), row("read", "pub", sure=0.4)]

    _, found = difference(a, b)

    assert (found.lacking.posts, found.lacking.equal) == (2, 1)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_exports_are_compared_as_a_table_json_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, as_before: None
) -> None:
    for name, place in (("a", "pub"), ("b", "<b>bar")):
        folder = tmp_path / name
        folder.mkdir()
        rows = [row(str(number), place if number else "pub", sure=0.5 if name == "b" else 0.9) for number in range(4)]
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), folder / "labels-0-000000000000-000000000003.parquet")
        else:
            (folder / "labels-0-0-3.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    sides, html = (str(tmp_path / "a"), str(tmp_path / "b")), tmp_path / "diff.html"

    diff.main([*sides, "--html", str(html)])
    table = capsys.readouterr().out
    diff.main([*sides, "--json"])
    found = json.loads(capsys.readouterr().out)

    assert "equal places: 1 of 4 (25.0%)" in table
    assert "1 of 4 equal (25.0%)" in table
    assert found["both"] == {"posts": 4, "equal": 1, "share": 0.25}
    assert found["b"]["stamps"] == {
        "light | colours@1 | conditional weights=0.8/0.8 gate=0.6 threshold=0.3": 4,
    }
    page = html.read_text()
    assert "&lt;b&gt;bar" in page
    assert "<b>bar" not in page


@pytest.mark.parametrize(
    ("content", "line"),
    [(None, "has no file of an export"), ("{}", "is no file of an export: Field required"), ("", "no labelled post")],
)
def test_what_is_no_export_is_one_line(tmp_path: Path, content: str | None, line: str, as_before: None) -> None:
    if content is not None:
        (tmp_path / "labels.jsonl").write_text(content)

    with pytest.raises(CommandError, match=line):
        diff.main([str(tmp_path), str(tmp_path)])
