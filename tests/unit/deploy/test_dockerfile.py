import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from consumer.board.settings import BoardSettings
from consumer.count.settings import CountSettings
from consumer.label.settings import LabelSettings
from deploy.local.process import free_ports
from tests.unit.deploy.compose import ROOT, dockerfile, image_health_check

FILE = ROOT / "deploy" / "Dockerfile"
LINES = [line.strip() for line in dockerfile().splitlines() if line.strip() and not line.startswith("#")]
LAST = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]
"""What the image itself is made of: the last stage, and the stage of its variant before it."""


def test_hadolint_finds_nothing() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), FILE], capture_output=True, text=True, cwd=ROOT
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_it_runs_as_nobody_in_particular() -> None:
    assert [line for line in LAST if line.startswith("USER ")] == ["USER 10001:10001"]
    after = LAST[LAST.index("USER 10001:10001") :]
    assert not any(line.startswith(("RUN", "COPY", "ADD")) for line in after)


def test_the_last_stage_builds_and_installs_nothing() -> None:
    runs = " ".join(line for line in LAST if line.startswith("RUN"))
    assert "pip uninstall -y pip" in runs
    assert not re.search(r"apt|gcc|g\+\+|make\b|pip install", runs)
    assert [line for line in LAST if line.startswith("COPY")] == ["COPY --from=build /opt/placestream /opt/placestream"]
    (created,) = [line for line in LINES if "python -m venv" in line]
    assert "--without-pip" in created  # what is copied has no pip either


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_a_build_argument_chooses_the_variant(variant: str) -> None:
    assert "ARG VARIANT=cpu" in LINES
    assert LAST[0] == "FROM variant-${VARIANT}"
    stage = LINES.index(f"FROM ${{PYTHON_IMAGE}} AS variant-{variant}")
    assert f"PLACESTREAM_DEVICE={variant}" in LINES[stage + 1]


def test_no_address_of_a_registry_is_in_it() -> None:
    assert "ARG TORCH_INDEX_URL=" in LINES
    assert not re.search(r"https?://(?!127\.0\.0\.1)", FILE.read_text())


def test_its_writable_folders_are_those_of_a_read_only_container() -> None:
    variables = " ".join(line for line in LAST if line.startswith("ENV"))
    assert "PYTHONDONTWRITEBYTECODE=1" in variables
    assert "XDG_CACHE_HOME=/cache" in variables
    assert "VOLUME /cache" in LAST
    assert "WORKDIR /tmp" in LAST


def test_the_benchmark_allocates_memory_as_the_image_does() -> None:
    (of_benchmark,) = re.findall(r"^MALLOC = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    stage = LINES.index("FROM ${PYTHON_IMAGE} AS variant-cpu")
    assert " ".join(LINES[stage + 1].split()) == f"ENV PLACESTREAM_DEVICE=cpu {of_benchmark}"
    assert of_benchmark.count("MALLOC_") == 3


def test_it_is_stopped_and_watched() -> None:
    assert "STOPSIGNAL SIGTERM" in LAST
    assert image_health_check()[:2] == ["python", "-c"]
    assert 'CMD ["python", "-m", "consumer", "label"]' in LAST


def health_check(ports: Mapping[int, int], **environment: str) -> int:
    """The exit code of the image's health check, with ports of this machine in the place of the container's."""
    python, flag, program = image_health_check()
    for port, here in ports.items():
        assert f"'{port}'" in program
        program = program.replace(f"'{port}'", f"'{here}'")
    return subprocess.run([sys.executable, flag, program], env=environment, capture_output=True, timeout=30).returncode


@pytest.fixture
def answering() -> Iterator[tuple[int, list[str]]]:
    """The port of a server that answers 200, and the paths that it is asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path in ("/", "/healthz") else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


@pytest.mark.parametrize(
    ("default", "path"),
    [
        (LabelSettings.model_fields["metrics_port"].default, "/healthz"),
        (CountSettings.model_fields["metrics_port"].default, "/healthz"),
        (BoardSettings.model_fields["port"].default, "/"),
    ],
    ids=["label", "count", "board"],
)
def test_the_health_check_finds_each_role_at_its_own_port(
    default: int, path: str, answering: tuple[int, list[str]]
) -> None:
    port, asked = answering
    ports = dict(zip((9101, 9102, 8090), free_ports(3), strict=True))

    assert health_check(ports) != 0, "well before anything answers"
    assert health_check(ports | {default: port}) == 0
    assert asked == [path]
    assert f" {default}" in next(line for line in LAST if line.startswith("EXPOSE"))


def test_the_health_check_asks_the_port_that_a_role_was_given(answering: tuple[int, list[str]]) -> None:
    port, asked = answering
    (nobody,) = free_ports(1)

    assert health_check({9101: port}, PLACESTREAM_METRICS_PORT=str(nobody)) != 0
    assert health_check({}, PLACESTREAM_METRICS_PORT=str(port)) == 0
    assert asked == ["/healthz"]


def test_what_every_role_needs_is_installed() -> None:
    extras = dict(re.findall(r"(\w+)\) extras=(\S+)", "\n".join(LINES)))
    assert extras == {"cpu": "board,conse,openvino", "cuda": "board,conse"}


def test_what_it_copies_and_installs_is_all_of_the_program(tmp_path: Path) -> None:
    """The build stage's last steps, on what .dockerignore lets through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    ignored = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    copied = {
        source for line in LINES if line.startswith("COPY") and "--from" not in line for source in line.split()[1:-1]
    }
    assert {source.replace("consumer/__init__.py", "consumer") for source in copied} == allowed
    context, installed = tmp_path / "context", tmp_path / "installed"
    for name in allowed:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns(*ignored))
        else:
            shutil.copy(ROOT / name, context / name)

    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run([*pip, "--target", installed, context], check=True, capture_output=True, timeout=120)

    for package in ("producer", "consumer"):
        there = {file.relative_to(installed) for file in (installed / package).rglob("*") if file.is_file()}
        wanted = {file.relative_to(context) for file in (context / package).rglob("*") if file.is_file()}
        assert there == wanted, "pyproject.toml: package-data misses files, or packages.find a folder"
