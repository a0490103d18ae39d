"""Labelled posts for tests, and their counters: the golden one, with changes."""

import json
from pathlib import Path
from typing import Any

from consumer.count.counters import tally
from consumer.count.snapshot import Counters
from consumer.count.zones import load_zones
from consumer.labeled_post import LabeledPost

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> Any:
    """What a golden file holds."""
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


def labeled_value(**changes: Any) -> dict[str, Any]:
    """The golden labelled post's value with other fields; a field that is `...` is left out."""
    whole = golden("labeled_post")["value"] | changes
    return {name: value for name, value in whole.items() if value is not ...}


def labeled(**changes: Any) -> LabeledPost:
    """The golden labelled post, as read, with other fields."""
    return LabeledPost.model_validate_json(json.dumps(labeled_value(**changes)))


def counters(posts: dict[str, dict[str, int]], **changes: Any) -> Counters:
    """Posts of each city and place, and nothing else but what is said."""
    stamps = {"e|p|conditional weights=0.8/0.8 gate=0.6 threshold=0.3": 1}
    rest: dict[str, Any] = {
        "broader": {},
        "sentiment": {},
        "languages": {},
        "hours": {},
        "days": {},
        "stamps": stamps,
        "offsets": {},
        "topic_id": "x",
    }
    return Counters(posts=posts, **(rest | changes))


def counted(*posts: dict[str, Any]) -> Counters:
    """The counters of these posts, each the golden one with other fields."""
    return Counters.of(tally((labeled(**post) for post in posts), load_zones()), "x")
