"""The compose file as Compose reads it: variables put in, anchors merged. No engine is needed for that."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"

VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
"""The one form of interpolation that the file uses: a variable and what stands for it when it is unset or empty."""


def load(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The file with the variables of `environment` (default: none is set)."""
    values = environment or {}
    text = VARIABLE.sub(lambda found: values.get(found[1]) or found[2], FILE.read_text(encoding="utf-8"))
    assert "$" not in text.replace("$$", ""), "another form of interpolation than ${NAME:-default}"
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def services(environment: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Its services by name."""
    found: dict[str, dict[str, Any]] = load(environment)["services"]
    return found


def own(name: str) -> bool:
    """Whether a service runs Placestream's image."""
    return name in ("topics", "producer", "label", "label-gpu", "count")


def dockerfile() -> str:
    """The Dockerfile, its continued lines joined."""
    return (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def image_health_check() -> list[str]:
    """The Dockerfile's HEALTHCHECK command, which a service without one of its own has."""
    (found,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", dockerfile(), re.MULTILINE)
    command = json.loads(found)
    assert isinstance(command, list)
    return command


def health_check(service: Mapping[str, Any]) -> list[str] | None:
    """The command that says whether a service is well, as an argument list; None where it has none."""
    check = service.get("healthcheck", {})
    if check.get("disable"):
        return None
    kind, *command = check.get("test") or ["CMD", *image_health_check()]
    assert kind in ("CMD", "CMD-SHELL")
    return ["/bin/sh", "-c", *command] if kind == "CMD-SHELL" else command
