"""The README's tables against the code. `python -m tests.unit.test_readme` prints the table of settings."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from consumer.__main__ import COMMANDS as CONSUMER
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
from consumer.export.settings import ExportSettings
from consumer.label.settings import LabelSettings
from consumer.metrics import CountMetrics, LabelMetrics
from producer.__main__ import COMMANDS as PRODUCER
from producer.replay import ReplaySettings
from producer.sample import SampleSettings
from producer.topics import CreateSettings

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")

COMMANDS: dict[str, type[BaseSettings]] = {
    "topics": CreateSettings,
    "replay": ReplaySettings,
    "sample": SampleSettings,
    "label": LabelSettings,
    "count": CountSettings,
    "recount": RecountSettings,
    "verify": VerifySettings,
    "popularity": PopularitySettings,
    "classify": ClassifyCommand,
    "benchmark": BenchmarkSettings,
    "export": ExportSettings,
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


def settings_table() -> str:
    """One row per setting: name, default, commands that have it, description."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for command, settings in COMMANDS.items():
        for name, field in settings.model_fields.items():
            if any(getattr(extra, "__name__", "") == "_CliPositionalArg" for extra in field.metadata):
                continue
            default = field.default
            if isinstance(default, SecretStr):
                default = default.get_secret_value()
            if isinstance(default, tuple):
                default = ",".join(map(str, default))
            unset = default is PydanticUndefined or default is None
            key = (str(field.alias or name).upper(), "" if unset else f"`{default}`", field.description or "")
            rows.setdefault(key, []).append(command)
    everywhere = len(COMMANDS)
    lines = ["| setting | default | commands | meaning |", "|---|---|---|---|"]
    for (name, default, description), commands in sorted(rows.items()):
        where = "all" if len(commands) == everywhere else ", ".join(_groups_as_one(commands))
        lines.append(f"| `{name}` | {default} | {where} | {description} |")
    return "\n".join(lines)


def _groups_as_one(commands: list[str]) -> list[str]:
    """The commands, with all of one group as the group's name."""
    names: dict[str, None] = {}
    for command in commands:
        group = command.split()[0]
        whole = [each for each in COMMANDS if each.split()[0] == group]
        names[group if set(whole) <= set(commands) else command] = None
    return list(names)


def test_the_table_of_settings_is_the_code_s() -> None:
    between = re.search(r"<!-- settings.*?-->\n(.*?)\n<!-- end of settings -->", README, re.DOTALL)

    assert between is not None
    assert between[1] == settings_table(), "python -m tests.unit.test_readme prints the table"


def test_every_command_is_in_the_readme_and_in_this_test() -> None:
    assert set(PRODUCER) | set(CONSUMER) == {command.split()[0] for command in COMMANDS}
    for role, commands in (("producer", PRODUCER), ("consumer", CONSUMER)):
        for command in commands:
            assert f"{role} {command}" in README or f"`{command}`" in README, command


def test_the_tests_that_show_the_promises_are_there() -> None:
    named = set(re.findall(r"`((?:faults|integration|unit)/[\w/.]+)(?:::(\w+))?`", README))
    tests = Path(__file__).parents[1]

    assert len([name for _, name in named if name]) > 20
    assert [path for path, _ in named if not (tests / path).exists()] == []
    assert [name for path, name in named if name and f"\ndef {name}(" not in (tests / path).read_text("utf-8")] == []


def test_every_metric_is_in_the_readme() -> None:
    for metrics in (LabelMetrics, CountMetrics):
        registry = CollectorRegistry()
        metrics(registry)
        for family in registry.collect():
            name = family.name.removeprefix("placestream_") + ("_total" if family.type == "counter" else "")
            assert re.search(rf"`{name}(\{{[a-z,]+\}})?`", README), name


def test_every_reason_of_a_dead_letter_is_in_the_readme() -> None:
    from consumer.dead_letter import STAGES

    for stage, reasons in STAGES.items():
        for reason in reasons:
            assert f"| `{reason}` | {stage} |" in README


if __name__ == "__main__":
    print(settings_table())
