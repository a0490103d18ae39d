"""What the pages say against the tree and the code: links, commands and their flags, tests, metrics, settings."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings, CliSettingsSource

from consumer.__main__ import COMMANDS as CONSUMER
from consumer.dead_letter import STAGES
from consumer.dead_letters.commands import COMMANDS as DEAD_LETTERS
from consumer.evaluate.commands import COMMANDS as EVALUATE
from consumer.metrics import CountMetrics, RelabelMetrics
from deploy.board import COMMANDS as BOARD
from deploy.board import ScreenshotSettings, ShowSettings
from deploy.local.__main__ import COMMANDS as LOCAL
from deploy.local.tools import TOOLS
from producer.__main__ import COMMANDS as PRODUCER
from tests.settings_page import COMMANDS, PAGE, settings_page

ROOT = Path(__file__).parents[2]
FOLDERS = ("producer", "consumer", "deploy", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
WRITTEN = [page for page in PAGES if page.name not in ("CHANGELOG.md", "SETTINGS.md")]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

GROUPS = {"evaluate": EVALUATE, "dead-letters": DEAD_LETTERS}
FURTHER: dict[str, type[BaseSettings]] = {"show": ShowSettings, "screenshots": ScreenshotSettings}
YOURS = ("deploy/kubernetes/mine",)
"""Paths that a reader makes."""


@cache
def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def split(page: Path) -> tuple[list[str], list[str]]:
    """Its lines outside of code blocks, and inside of them with continued lines as one."""
    prose: list[str] = []
    code: list[str] = []
    inside = continued = False
    for line in text_of(page).splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            prose.append(line)
        elif continued:
            code[-1] += line.strip().removesuffix("\\")
            continued = line.endswith("\\")
        else:
            code.append(line.strip().removesuffix("\\"))
            continued = line.endswith("\\")
    return prose, code


def codes(page: Path) -> list[str]:
    """Each line of its code blocks, and each `inline` code."""
    prose, code = split(page)
    return [*code, *re.findall(r"(?<!`)`([^`]+)`(?!`)", "\n".join(prose))]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to its headings."""
    seen: dict[str, int] = {}
    found = set()
    for line in split(page)[0]:
        if heading := re.match(r"#{1,6} (.*)", line):
            shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            number = seen.get(anchor, 0)
            seen[anchor] = number + 1
            found.add(f"{anchor}-{number}" if number else anchor)
    return frozenset(found)


def leads_somewhere(base: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (base.parent / path).resolve() if path else base
    if target.is_dir():
        return not anchor
    return target.exists() and (not anchor or anchor in anchors(target))


@each_page
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join(split(page)[0]))

    assert [link for link in links if "://" not in link and not leads_somewhere(page, link)] == []


def test_every_alert_leads_to_a_section() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text("utf-8"))
    urls = [
        rule["annotations"]["runbook_url"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    ]

    assert len(urls) > 10
    assert [url for url in urls if not leads_somewhere(ROOT / "README.md", url)] == []


def commands_in(code: str) -> Iterator[list[str]]:
    """The words of each command in a line of code: from ``python -m`` or the name of a command on."""
    try:
        words = shlex.split(code, comments=True)
    except ValueError:  # a quotation mark of the text's
        words = code.split()
    command: list[str] = []
    for word in [*words, ";"]:
        if word in ("|", ";", "&&", ">", "--"):
            if command[:2] == ["python", "-m"]:
                yield command[2:]
            elif command and command[0] in CONSUMER:
                yield ["consumer", *command]
            elif command and command[0] in PRODUCER:
                yield ["producer", *command]
            command = []
        elif command or "=" not in word:
            command.append("python" if word.endswith("/python") else word)


@cache
def flags_of(settings: type[BaseSettings]) -> frozenset[str]:
    return frozenset(CliSettingsSource(settings).root_parser._option_string_actions)


def wrong(module: str, words: list[str]) -> str | None:
    """What does not exist of a command: its module, its name, or a flag; None: all is there."""
    try:
        if find_spec(f"{module}.__main__" if module in ("producer", "consumer") else module) is None:
            return f"no module {module}"
    except ModuleNotFoundError:
        return f"no module {module}"
    commands = {"producer": PRODUCER, "consumer": CONSUMER, "deploy.local": LOCAL, "deploy.board": BOARD}.get(module)
    if commands is None or not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
        return None
    name, *rest = words
    if name not in commands:
        return f"no command {name}"
    if name in GROUPS:
        if not rest or not re.fullmatch(r"[a-z][a-z-]*", rest[0]):
            return None
        if rest[0] not in GROUPS[name]:
            return f"no command {name} {rest[0]}"
        name, rest = f"{name} {rest[0]}", rest[1:]
    settings = FURTHER.get(name) or COMMANDS.get(name)
    flags = [word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    missing = [flag for flag in flags if settings is None or flag not in flags_of(settings)]
    return f"{name} has no {', '.join(missing)}" if missing else None


@each_page
def test_every_command_of_a_page_exists_with_its_flags(page: Path) -> None:
    found = [command for code in codes(page) for command in commands_in(code) if command]

    assert [problem for module, *words in found if (problem := wrong(module, words))] == []


def test_a_command_that_does_not_exist_is_found() -> None:
    lines = {
        "python -m consumer label --stop-at-end  # and": [None],
        ".venv/bin/python -m consumer labell": ["no command labell"],
        "python -m deploy.local run -- python -m consumer label --colour red | less": [None, "label has no --colour"],
        "evaluate sheet b --scores other -o sheet-b": [None],
        "evaluate sheets b": ["no command evaluate sheets"],
        "PLACESTREAM_LIMIT=3 python -m producer replay /data --no-limit": ["replay has no --no-limit"],
        "python -m deploy.nothing": ["no module deploy.nothing"],
    }
    for line, problems in lines.items():
        assert [wrong(module, words) for module, *words in commands_in(line)] == problems, line


@each_page
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = [shlex.split(code, comments=True)[1:] for code in codes(page) if re.match(r"make\s+\S", code)]

    assert [
        word for words in asked for word in words if re.fullmatch(r"[a-z][a-z-]*", word) and word not in targets
    ] == []


@each_page
def test_every_test_and_path_that_a_page_names_is_there(page: Path) -> None:
    for code in codes(page):
        if named := re.fullmatch(r"(?:tests/)?((?:unit|integration|faults|golden)/[\w/.]*)(?:::(\w+))?", code):
            path = ROOT / "tests" / named[1]
            assert path.exists(), code
            assert not named[2] or f"\ndef {named[2]}(" in path.read_text("utf-8"), code
        elif re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w/.-]*", code) and not code.startswith(YOURS):
            assert (ROOT / code).exists(), code


def test_the_promises_are_shown_by_tests() -> None:
    promises = text_of(ROOT / "tests/README.md").partition("## Each failure")[2]

    assert len(re.findall(r"::test_\w+`", promises)) > 20


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_is_at_most_120_wide(page: Path) -> None:
    assert [line for line in split(page)[0] if len(line) > 120 and not line.startswith("|")] == []


def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= 180


def test_every_page_is_reached_from_the_readme_or_from_a_page_that_is() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in reached and page in PAGES:
            reached.add(page)
            links = re.findall(r"\]\(([^)\s#]+)", text_of(page))
            todo += [(page.parent / link).resolve() for link in links if "://" not in link]

    assert sorted(set(PAGES) - reached) == []


def test_every_command_is_on_a_page() -> None:
    everything = " ".join(text_of(page) for page in WRITTEN)
    local = LOCAL.keys() - TOOLS.keys()
    for role, commands in (("producer", PRODUCER), ("consumer", CONSUMER), ("deploy.local", local)):
        for command in commands:
            assert f"python -m {role} {command}" in everything, command
    for group, commands in GROUPS.items():
        for command in commands:
            assert f"{group} {command}" in everything or f"`{command}" in everything, command


def test_kafkas_own_programs_that_pages_name_can_be_had() -> None:
    named = {tool for page in WRITTEN for tool in re.findall(r"(kafka-[a-z-]+)\.sh", text_of(page))}
    assert named == TOOLS.keys()


def test_every_command_has_its_settings_in_the_table() -> None:
    grouped = {f"{group} {command}" for group, commands in GROUPS.items() for command in commands}

    assert set(COMMANDS) == set(PRODUCER) | set(CONSUMER) - set(GROUPS) | grouped


def test_the_page_of_settings_is_the_code_s() -> None:
    assert text_of(PAGE) == settings_page(), "python -m tests.settings_page writes it again"


def test_every_metric_is_on_its_page() -> None:
    page = text_of(ROOT / "deploy/prometheus/README.md")
    for metrics in (RelabelMetrics, CountMetrics):
        registry = CollectorRegistry()
        metrics(registry)
        for family in registry.collect():
            name = family.name.removeprefix("placestream_") + ("_total" if family.type == "counter" else "")
            assert re.search(rf"^\|.*`{name}(\{{[a-z,]+\}})?`.*\|", page, re.MULTILINE), name


def test_every_reason_of_a_dead_letter_is_on_the_worker_s_page() -> None:
    page = text_of(ROOT / "consumer/label/README.md")
    for stage, reasons in STAGES.items():
        for reason in reasons:
            assert f"| `{reason}` | {stage} |" in page
