"""The page of settings, made of the code: `python -m tests.settings_page` writes `consumer/SETTINGS.md`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from consumer.benchmark.settings import BenchmarkSettings
from consumer.board.settings import BoardSettings
from consumer.cities.popularity import PopularityPageSettings
from consumer.classify.classify import ClassifyCommand
from consumer.count.popularity import PopularitySettings
from consumer.count.recount import RecountSettings
from consumer.count.settings import CountSettings
from consumer.count.verify import VerifySettings
from consumer.dead_letters.list import ListSettings
from consumer.dead_letters.replay import ReplaySettings as DeadLetterReplaySettings
from consumer.dead_letters.show import ShowSettings
from consumer.diff.diff import DiffSettings
from consumer.evaluate.curves.compare import CompareSettings
from consumer.evaluate.curves.curves import CurvesSettings
from consumer.evaluate.marks.agreement import AgreementSettings
from consumer.evaluate.marks.sheet import SheetSettings
from consumer.evaluate.report.report import ReportSettings
from consumer.evaluate.samples.sample_a import SampleASettings
from consumer.evaluate.samples.sample_b import SampleBSettings
from consumer.evaluate.samples.sample_c import SampleCSettings
from consumer.evaluate.scores.prelabel import PrelabelSettings
from consumer.evaluate.scores.score import ScoreSettings
from consumer.export.pictures import PicturesSettings
from consumer.export.settings import ExportSettings
from consumer.label.settings import LabelSettings
from consumer.relabel.settings import RelabelSettings
from producer.__main__ import COMMANDS as PRODUCER
from producer.replay import ReplaySettings
from producer.sample import SampleSettings
from producer.topics import CreateSettings

COMMANDS: dict[str, type[BaseSettings]] = {
    "topics": CreateSettings,
    "replay": ReplaySettings,
    "sample": SampleSettings,
    "label": LabelSettings,
    "relabel": RelabelSettings,
    "diff": DiffSettings,
    "count": CountSettings,
    "recount": RecountSettings,
    "verify": VerifySettings,
    "popularity": PopularitySettings,
    "classify": ClassifyCommand,
    "benchmark": BenchmarkSettings,
    "export": ExportSettings,
    "pictures": PicturesSettings,
    "board": BoardSettings,
    "evaluate score": ScoreSettings,
    "evaluate prelabel": PrelabelSettings,
    "evaluate sample-a": SampleASettings,
    "evaluate sample-b": SampleBSettings,
    "evaluate sample-c": SampleCSettings,
    "evaluate sheet": SheetSettings,
    "evaluate agreement": AgreementSettings,
    "evaluate curves": CurvesSettings,
    "evaluate report": ReportSettings,
    "evaluate compare": CompareSettings,
    "evaluate popularity": PopularityPageSettings,
    "dead-letters list": ListSettings,
    "dead-letters show": ShowSettings,
    "dead-letters replay": DeadLetterReplaySettings,
}
"""Each command, those of a group as "group command", and its settings."""


PAGE = Path(__file__).parents[1] / "consumer/SETTINGS.md"

HEAD = """\
# Settings

For whoever looks up a flag or a variable. `python -m tests.settings_page` makes this page of the code.

Every setting is a flag (`--batch-size`) and an environment variable (`PLACESTREAM_BATCH_SIZE`); flags win. Without a
default it is not set, or off. First come the settings that several commands share, then each command's own, which win.
"""

Row = tuple[str, str, str]
"""Name, default, meaning."""


def settings_page() -> str:
    """The whole page."""
    shared: dict[type, dict[Row, list[str]]] = {}
    own: dict[str, dict[Row, list[str]]] = {}
    owners = _owners()
    for command, settings in COMMANDS.items():
        for name, field in settings.model_fields.items():
            if any(getattr(extra, "__name__", "") == "_CliPositionalArg" for extra in field.metadata):
                continue
            owner = _owner(settings, name)
            groups = {_group(each) for each in owners[owner]}
            section = shared.setdefault(owner, {}) if len(groups) > 1 else own.setdefault(_group(command), {})
            section.setdefault(_row(name, field), []).append(command)
    parts = [HEAD]
    for owner, rows in shared.items():
        named = ", ".join(f"`{command}`" for command in _groups_as_one(owners[owner]))
        title, sentence = owner.__name__.removesuffix("Settings"), (owner.__doc__ or "").partition("\n")[0]
        parts.append(f"## {title}\n\n{sentence} Of {named}.\n\n{_table(rows)}\n")
    for group, rows in own.items():
        of_one = len([command for command in COMMANDS if _group(command) == group]) == 1
        parts.append(f"## {group}\n\n{_table(rows) if of_one else _table_by_command(rows)}\n")
    return "\n".join(parts)


def _owners() -> dict[type, list[str]]:
    """The classes that define settings, each with the commands that have them."""
    owners: dict[type, list[str]] = {}
    for command, settings in COMMANDS.items():
        for owner in dict.fromkeys(_owner(settings, name) for name in settings.model_fields):
            owners.setdefault(owner, []).append(command)
    return owners


def _owner(settings: type[BaseSettings], name: str) -> type:
    """The class that defines the setting for these settings."""
    return next(each for each in settings.__mro__ if name in each.__dict__.get("__annotations__", {}))


def _group(command: str) -> str:
    return "producer" if command in PRODUCER else command.split()[0]


def _groups_as_one(commands: Sequence[str]) -> list[str]:
    """The commands, with all of one group as the group's name."""
    names: dict[str, None] = {}
    for command in commands:
        first = command.split()[0]
        whole = {each for each in COMMANDS if each.split()[0] == first}
        names[first if whole <= set(commands) else command] = None
    return list(names)


def _row(name: str, field: FieldInfo) -> Row:
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, (tuple, list)):
        default = ",".join(map(str, default)) or None
    unset = default is PydanticUndefined or default is None or default is False
    return str(field.alias or name).upper(), "" if unset else f"`{default}`", field.description or ""


def _table(rows: Iterable[Row]) -> str:
    lines = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *lines])


def _table_by_command(rows: Mapping[Row, Sequence[str]]) -> str:
    lines = [
        f"| `{name}` | {default} | {', '.join(command.split()[-1] for command in commands)} | {meaning} |"
        for (name, default, meaning), commands in sorted(rows.items())
    ]
    return "\n".join(["| setting | default | commands | meaning |", "|---|---|---|---|", *lines])


if __name__ == "__main__":
    PAGE.write_text(settings_page(), "utf-8")
