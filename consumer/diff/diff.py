"""The command `diff`: what changed between two sets of labels, as a table, JSON or a page."""

import importlib.util
import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich import box
from rich.console import Console
from rich.table import Table

from consumer.diff.compare import Difference, Shift, compare
from consumer.diff.read import Names, Side, read
from consumer.start import check_checksum
from producer.base.errors import CommandError
from producer.base.logs import LogSettings, setup
from producer.base.settings import KafkaSettings, load

MOST_CITIES = 10
"""Of the table."""
NOBODY = "not classified"


class DiffSettings(KafkaSettings, LogSettings):
    """Compare the labels of two topics, or of two exports, post by post."""

    a: CliPositionalArg[str] = Field(description="topic of labels, or folder of an export")
    b: CliPositionalArg[str] = Field(description="what it is compared with")
    top: int = Field(5, ge=1, description="most frequent changes, and largest shifts of each city")
    json_: bool = Field(False, alias="json", description="print everything as JSON")
    html: Path | None = Field(None, description="write a page (needs the extra evaluate)")


def main(argv: list[str]) -> int:
    """Run `diff`.

    Args:
        argv: flags of `DiffSettings`.

    Raises:
        CommandError: no broker, no such topic or folder, or no post of both.
    """
    settings = load(DiffSettings, "python -m consumer diff", argv)
    setup(settings)
    check_checksum()
    if settings.html and importlib.util.find_spec("jinja2") is None:
        raise CommandError("--html needs the extra evaluate: pip install '.[evaluate]'")
    places, cities = Names(), Names()
    a, b = (Side.of(name, read(settings, name), places, cities) for name in (settings.a, settings.b))
    found = compare(a, b, places, cities)
    if not found.both.posts:
        raise CommandError(f"no post is in both {a.name} and {b.name}")
    if settings.json_:
        print(json.dumps(_plain(a, b, found), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _print(a, b, found, settings.top)
    if settings.html:
        _write(settings.html, a, b, found, settings.top)
    return 0


def _plain(a: Side, b: Side, found: Difference) -> dict[str, Any]:
    sides = {
        key: {"name": side.name, "posts": len(side.posts), "doubled": side.doubled, "stamps": side.stamps}
        for key, side in (("a", a), ("b", b))
    }
    figures = asdict(found)
    for equal in (figures["both"], figures["lacking"]):
        equal["share"] = None if math.isnan(equal["share"]) else equal["share"]
    return sides | figures


def _print(a: Side, b: Side, found: Difference, top: int) -> None:
    console = Console(markup=False, emoji=False, highlight=False)  # names are others' text
    for line in _lines(a, b, found):
        console.print(line)
    if found.changes:
        console.print(f"\nmost frequent of {len(found.changes):,} changes")
        rows = ((each.before or NOBODY, each.after or NOBODY, f"{each.posts:,}") for each in found.changes[:top])
        console.print(_table(("from", "to"), ("posts",), rows))
    for city in found.cities[:MOST_CITIES]:
        moved = [shift for shift in city.shifts if shift.change]
        console.print(f"\n{city.city}: {city.posts:,} posts, shares {'change by' if moved else 'are the same'}")
        if moved:
            console.print(_table(("place",), ("A", "B", "points", "95 % CI"), map(_row, moved[:top])))
    if len(found.cities) > MOST_CITIES:
        console.print(f"… and {len(found.cities) - MOST_CITIES:,} more cities (--json shows all)")


def _row(shift: Shift) -> tuple[str, ...]:
    """In percentage points."""
    interval = f"{100 * shift.low:+.1f} to {100 * shift.high:+.1f}"
    return shift.place or NOBODY, f"{shift.before:,}", f"{shift.after:,}", f"{100 * shift.change:+.1f}", interval


def _lines(a: Side, b: Side, found: Difference) -> list[str]:
    """What is said before the tables."""
    lines = []
    for letter, side in (("A", a), ("B", b)):
        doubled = f"; {side.doubled:,} earlier labels of the same posts are left out" if side.doubled else ""
        lines.append(f"{letter}: {side.name}, {len(side.posts):,} posts{doubled}")
        lines += [f"   {posts:,} by {stamp}" for stamp, posts in sorted(side.stamps.items())]
    both, lacking = found.both, found.lacking
    lines += [
        f"in both {both.posts:,}, only in A {found.only_a:,}, only in B {found.only_b:,}",
        f"equal places: {both.equal:,} of {both.posts:,} ({both.share:.1%})",
    ]
    if lacking.posts:
        lines.append(
            f"of these, decided by the picture on one side alone although the decision asks for a caption (there is "
            f"none, or it was not encoded): {lacking.equal:,} of {lacking.posts:,} equal ({lacking.share:.1%})"
        )
    return lines


def _table(names: Iterable[str], numbers: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for name in names:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _write(path: Path, a: Side, b: Side, found: Difference, top: int) -> None:
    from consumer.evaluate.pages import files, page  # of an extra

    text = page.render("diff.html.j2", ("report.css",), a=a, b=b, found=found, lines=_lines(a, b, found), top=top)
    files.write(path, text)
