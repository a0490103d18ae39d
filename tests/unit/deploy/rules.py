"""The rules and what they ask for: which series an expression names."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from consumer.metrics import CountMetrics, LabelMetrics
from tests.unit.deploy.compose import ROOT

FOLDER = ROOT / "deploy" / "prometheus"

SELECTOR = re.compile(r"placestream[_:][a-zA-Z0-9_:]+(?:\{[^}]*\})?")
"""A metric's name with its matchers, as it stands in an expression."""


def groups() -> list[dict[str, Any]]:
    """The groups of rules.yml."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return found


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Every rule of a kind, `alert` or `record`, by name."""
    return {rule[kind]: rule for group in groups() for rule in group["rules"] if kind in rule}


def promtool_tests() -> Iterator[dict[str, Any]]:
    """Every unit test of promtool."""
    for file in sorted((FOLDER / "tests").glob("*.yml")):
        yield from yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]


def selectors(expression: str) -> set[str]:
    """The series that an expression names, recorded ones included."""
    return set(SELECTOR.findall(expression))


def unknown(expressions: Iterable[str]) -> set[str]:
    """The series that these name and that no role exposes, as a part of a histogram or whole, and no rule records."""
    label, count = CollectorRegistry(), CollectorRegistry()
    LabelMetrics(label)
    CountMetrics(count)
    parts = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    exposed = {
        family.name + part
        for registry in (label, count)
        for family in registry.collect()
        for part in parts[family.type]
    }
    asked = {selector.split("{")[0] for expression in expressions for selector in selectors(expression)}
    return asked - exposed - set(rules("record"))
