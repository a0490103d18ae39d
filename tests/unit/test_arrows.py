"""Arrows between rooms point one way: which part of the product may import which, from the import statements alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FLOORS = (
    "producer.base",
    "producer.city",
    "producer.pictures",
    "producer.serialised",
    "producer.post",
    "producer.dataset",
    "producer",
    "consumer.classify.pictures",
    "consumer.classify.compute",
    "consumer.classify.encoders",
    "consumer.classify",
    "consumer",  # the records on the wire, metrics, health and start: what roles share
    "consumer.kafka",
)
"""From the ground up: a floor imports those below it, and knows no role."""
WINGS = tuple(
    f"consumer.evaluate.{wing}" for wing in ("pages", "scores", "samples", "stats", "marks", "curves", "report")
)
"""Of the evaluation, in order: a wing imports those before it."""
ROLES: dict[str, tuple[str, ...]] = {
    "consumer.label": (),
    "consumer.relabel": ("consumer.label",),
    "consumer.diff": ("consumer.evaluate.pages",),
    "consumer.count": (),
    "consumer.export": (),
    "consumer.dead_letters": (),
    "consumer.board": ("consumer.count",),
    "consumer.benchmark": ("consumer.label",),
    **{wing: WINGS[:number] for number, wing in enumerate(WINGS)},
    "consumer.evaluate": WINGS,
    "consumer.cities": ("consumer.count", *WINGS),
    "deploy": (),
}
"""Every other room, and the roles that it imports; each may stand on all floors."""
EXCEPTIONS = {
    ("consumer.classify.encoders", "consumer.classify.places"),  # an encoder says which prompts suit it
}
ROOMS = sorted({*FLOORS, *ROLES}, key=len, reverse=True)
OPEN_CLIP = "consumer.classify.encoders.open_clip"
WITHOUT_SERVERS = ("consumer.classify", "consumer.evaluate")
SERVERS = ("kafka", "redis", "consumer.kafka")
"""What the former do not import."""


def is_within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str:
    return next((room for room in ROOMS if is_within(module, room)), module)


def may_import(module: str, other: str) -> bool:
    """Whether a module of ours may import another module, of ours or not."""
    if is_within(other, "open_clip"):
        return module == OPEN_CLIP
    if any(is_within(other, server) for server in SERVERS) and any(is_within(module, room) for room in WITHOUT_SERVERS):
        return False
    room, of = room_of(module), room_of(other)
    if of not in ROOMS or of == room or other == "consumer" or (room, other) in EXCEPTIONS:
        return True  # the package `consumer` itself has but a version
    floors = FLOORS[: FLOORS.index(room)] if room in FLOORS else FLOORS
    return of in floors or of in ROLES.get(room, ())


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and module of every import, also of those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                submodule = f"{node.module}.{name.name}"
                path = ROOT / submodule.replace(".", "/")
                yield node.lineno, submodule if path.is_dir() or path.with_suffix(".py").is_file() else node.module


def wrong(file: Path) -> list[str]:
    path = file.relative_to(ROOT)
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    tree = ast.parse(file.read_text("utf-8"))
    return [
        f"{path}:{line} imports {other}: {room_of(module)} may not"
        for line, other in imports(tree)
        if not may_import(module, other)
    ]


def test_no_arrow_points_backwards() -> None:
    files = [file for room in ("producer", "consumer", "deploy") for file in (ROOT / room).rglob("*.py")]
    if lines := [line for file in sorted(files) for line in wrong(file)]:
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("producer.base.logs", "producer.post"),
        ("producer.serialised", "producer.post"),
        ("producer.dataset.entry", "producer.topics"),
        ("producer.replay", "consumer.labeled_post"),
        ("consumer.kafka.lag", "consumer.label.read"),
        ("consumer.classify.classifier", "consumer.metrics"),
        ("consumer.classify.classifier", "kafka.errors"),
        ("consumer.classify.classifier", "redis"),
        ("consumer.classify.factory", "open_clip"),
        ("consumer.classify.encoders.conse", "consumer.classify.classifier"),
        ("consumer.evaluate.scores.score", "consumer.kafka.offsets"),
        ("consumer.evaluate.pages.page", "consumer.count.figures"),
        ("consumer.evaluate.stats.intervals", "consumer.evaluate.marks.truth"),
        ("consumer.count.count", "consumer.cities.figures"),
        ("consumer.export.read", "consumer.count.read"),
        ("consumer.metrics", "consumer.label.live"),
    ],
)
def test_an_arrow_that_points_backwards_is_seen(module: str, other: str) -> None:
    assert not may_import(module, other)


def test_every_folder_is_a_room() -> None:
    folders = {file.parent.relative_to(ROOT) for top in ("producer", "consumer") for file in (ROOT / top).rglob("*.py")}
    modules = {"producer.city", "producer.pictures", "producer.serialised", "producer.post", "deploy"}
    assert {".".join(folder.parts) for folder in folders} == set(ROOMS) - modules
