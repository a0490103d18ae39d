"""One HTML file that needs nothing else: style, script and pictures are inside, and nothing else may be loaded."""

import base64
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import AliasChoices, Field, field_validator

from consumer.classify.places import readable
from producer.base.settings import Settings

MISSING = "–"
_environment = Environment(
    loader=PackageLoader("consumer.evaluate.pages"),
    autoescape=True,  # captions, cities and categories are others' text
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


class PageSettings(Settings):
    """Where a page is written, with its figures and tables in a folder of the same name beside it."""

    output: Path = Field(
        validation_alias=AliasChoices("output", "o"),
        description="HTML file to write; figures (PNG) and numbers (CSV) go into a folder of its name",
    )

    @field_validator("output")
    @classmethod
    def _is_html(cls, output: Path) -> Path:
        if output.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"{output} must end in .html")
        return output

    @property
    def folder(self) -> Path:
        """Where figures and tables go."""
        return self.output.with_suffix("")


def render(template: str, style: tuple[str, ...], script: str | None = None, **values: Any) -> str:
    """Fill a template in.

    Its Content-Security-Policy allows this very style and this very script, by their hashes, and pictures.

    Args:
        template: its name in `templates/`.
        style: names of style sheets there, one after the other.
        script: name of the script there.
        values: what the template shows; everything is escaped.
    """
    css = "".join(_source(name) for name in style)
    javascript = _source(script) if script else ""
    policy = f"default-src 'none'; img-src 'self' file: data:; style-src {_hash(css)}"
    if script:
        policy += f"; script-src {_hash(javascript)}"
    return _environment.get_template(template).render(
        css=css, javascript=javascript, policy=f"{policy}; base-uri 'none'; form-action 'none'", **values
    )


def data_uri(picture: bytes, kind: str = "image/png") -> str:
    """A picture as an address that holds it whole."""
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


def percent(value: float | None, digits: int = 1) -> str:
    """``0.1234`` as ``12.3 %``; a dash where there is no number."""
    return MISSING if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def interval(low: float, high: float) -> str:
    """A 95 % interval of a share."""
    return MISSING if math.isnan(low) or math.isnan(high) else f"{100 * low:.1f}–{100 * high:.1f} %"


def span(low: float | None, high: float | None, digits: int = 2) -> str:
    """A 95 % interval of a number; one dash where there is none."""
    ends = [MISSING if end is None or math.isnan(end) else f"{end:.{digits}f}" for end in (low, high)]
    return MISSING if MISSING in ends else "–".join(ends)


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many digits after the point; infinity is spelled, a dash where there is none."""
    if value is None or math.isnan(value):
        return MISSING
    return "∞" if math.isinf(value) else f"{value:,.{digits}f}"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return MISSING if value is None or math.isnan(value) else f"{100 * value:+.1f}".replace("-", "−")


def whole(value: float) -> str:
    """A count with commas."""
    return f"{value:,.0f}"


def _source(name: str) -> str:
    loader = _environment.loader
    assert loader is not None
    return loader.get_source(_environment, name)[0]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_filters: Mapping[str, Any] = {
    "percent": percent,
    "interval": interval,
    "span": span,
    "number": number,
    "whole": whole,
    "readable": readable,
    "points": points,
}
_environment.filters.update(_filters)
