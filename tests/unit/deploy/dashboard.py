"""Grafana's dashboard, and the expressions that it asks Prometheus for."""

import json
from typing import Any

from tests.unit.deploy.compose import ROOT

FILE = ROOT / "deploy" / "grafana" / "dashboards" / "placestream.json"


def load() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    """Its panels, without the rows that head them."""
    return [panel for panel in load()["panels"] if panel["type"] != "row"]


def expressions(rate_interval: str = "1m") -> list[str]:
    """What every panel asks, with Grafana's variable put in."""
    return [
        target["expr"].replace("$__rate_interval", rate_interval) for panel in panels() for target in panel["targets"]
    ]
