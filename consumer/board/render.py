"""Templates and what they may call. Everything is escaped: cities, captions and categories are others' text."""

import json
import re
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from consumer.board import cities, explain
from consumer.board.index import Kept
from consumer.board.wall import Shown, Wall
from consumer.classify.places import readable
from consumer.count.counters import NOT_CLASSIFIED
from consumer.count.figures import WEEKDAYS
from consumer.labeled_post import LabeledPost
from producer.post import format_time

_PAIR = re.compile(r'\[\n +("(?:[^"\\]|\\.)*"|[\d.]+),\n +([\d.]+)\n +\]')

environment = Environment(
    loader=PackageLoader("consumer.board"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def page(template: str, **values: Any) -> str:
    """Fill a template in."""
    return environment.get_template(template).render(**values)


def cards(shown: list[Shown], captions: bool, root: str = "") -> list[str]:
    """Each post as a card of the wall.

    Args:
        shown: the posts.
        captions: whether there is room for captions.
        root: ROOT_PATH, with which every address begins.
    """
    template = environment.get_template("card.html.j2")
    return [template.render(shown=each, captions=captions, root=root) for each in shown]


def status(wall: Wall) -> dict[str, Any]:
    """How the stream is doing, as the pages' header says it."""
    now = wall.status()
    return {
        "trouble": now.trouble,
        "rate": f"{now.rate:,.1f} posts/s",
        "age": "no post yet" if now.age is None else f"newest {_ago(now.age)} old",
        "kept": now.kept,
    }


def _ago(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def _percent(value: float, digits: int = 1) -> str:
    return "–" if value != value else f"{100 * value:.{digits}f} %"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def place(category: str | None) -> str:
    """A category as one reads it, or that there is none."""
    return "not classified" if category in (None, NOT_CLASSIFIED) else readable(str(category))


def _source(post: LabeledPost | Kept) -> str:
    """Where picture and caption of a post are, behind ``/picture/`` and ``/caption/``."""
    source = post.source
    return f"{quote(source.topic, safe='')}/{source.partition}/{source.offset}?post={quote(post.post_id, safe='')}"


def _pretty(value: bytes) -> str:
    """The record, readable: pairs of place and confidence stay on one line."""
    return _PAIR.sub(r"[\1, \2]", json.dumps(json.loads(value), ensure_ascii=False, indent=2))


_filters: dict[str, Any] = {
    "place": place,
    "group": explain.group,
    "number": explain.number,
    "percent": _percent,
    "signed": _signed,
    "whole": "{:,}".format,
    "time": format_time,
    "parts": explain.parts,
    "share_of": explain.share_of,
    "why": explain.why,
    "pretty": _pretty,
    "source": _source,
    "mood": cities.mood,
    "step": cities.step,
    "leaning": cities.leaning,
}
environment.filters.update(_filters)
environment.globals.update(NOT_CLASSIFIED=NOT_CLASSIFIED, WEEKDAYS=WEEKDAYS)
