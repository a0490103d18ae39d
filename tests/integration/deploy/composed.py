"""The services of docker-compose.yml as processes of this machine.

Commands, environment and health checks are the file's own. What a container has for itself is put in their place:
its addresses become loopback ports, its volumes folders, and the setup of Kafka's image is done by that image's own
program, which comes with the broker.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.local.kafka_jars import find_kafka
from deploy.local.process import HOST, Process, free_ports, tail
from tests.tools import require
from tests.unit.deploy.compose import ROOT, health_check, services

SCRAPE_INTERVAL = 1.0
"""Seconds; the file's 15 would make the tests wait."""

PORTS = ("19092", "9092", "9093", "6379", "9101", "9102", "9090")
"""Those that the services listen on; no two have the same."""

ADDRESS = re.compile(rf"(?:\b(?:kafka|redis|localhost|127\.0\.0\.1)|(?<=//))([:/])({'|'.join(PORTS)})\b")
"""An address in a command or a variable: host and port, also as bash's /dev/tcp has it."""


class Composed:
    """Services that are started one by one, in the order of their `depends_on`; `close` ends them.

    Args:
        folder: where volumes, configuration and logs go.
        variables: those that the file's ``${NAME:-default}`` take.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.services = services(variables)
        self.running: dict[str, Process] = {}
        self._folder = folder
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))

    def address(self, port: str) -> str:
        """Where a port of a container is here."""
        return f"{HOST}:{self._ports[port]}"

    def start(self, name: str) -> None:
        """Start a service that goes on."""
        self.running[name] = Process(self._command(name), self.log(name), self.environment(name))

    def run(self, name: str, timeout: float = 120) -> str:
        """Run a service that ends by itself; its output. Fails when its exit code is not 0."""
        done = subprocess.run(
            self._command(name),
            env=self.environment(name),
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def is_well(self, name: str) -> bool:
        """What the service's own health check says."""
        check = health_check(self.services[name])
        assert check is not None
        command = [self._program(self._here(word, name)) for word in check]
        done = subprocess.run(command, env=self.environment(name), capture_output=True, timeout=30)
        return done.returncode == 0

    def wait_until_well(self, name: str, timeout: float = 120) -> None:
        """Wait for its health check; fails when it ends before."""

        deadline = time.monotonic() + timeout
        while not self.is_well(name):
            assert self.running[name].poll() is None, f"{name} ended:\n{tail(self.log(name))}"
            assert time.monotonic() < deadline, f"the health check of {name}: not within {timeout:g} s"
            time.sleep(0.5)  # each check is a program, and the services need the processor

    def log(self, name: str) -> Path:
        """Where a service's output goes."""
        return self._folder / f"{name}.log"

    def close(self) -> None:
        """End what runs, at once."""
        for process in reversed(self.running.values()):
            process.kill()

    def environment(self, name: str) -> dict[str, str]:
        """The service's variables, and what a process needs to find its programs."""
        variables = {key: self._here(str(value), name) for key, value in self._variables(name).items()}
        if port := variables.get("PLACESTREAM_METRICS_PORT"):
            variables |= {"PLACESTREAM_METRICS_PORT": self._ports[port], "PLACESTREAM_METRICS_HOST": HOST}
        return {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | variables

    def _variables(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.services[name].get("environment", {})
        return found

    def _command(self, name: str) -> list[str | Path]:
        if name == "kafka":
            return self._kafka()
        command: list[str | Path] = [self._program(self._here(word, name)) for word in self.services[name]["command"]]
        if name == "redis":  # in its container it has a port and a folder to itself
            return [*command, "--bind", HOST, "--port", self._ports["6379"], "--dir", self._volume("redis")]
        if name == "prometheus":  # the image's entry point is the program
            self._rewrite_targets()
            return [require("prometheus"), *command, f"--web.listen-address={self.address('9090')}"]
        return command

    def _program(self, word: str) -> str:
        """Programs that lie elsewhere here."""
        if word == "python":
            return sys.executable
        if word == "redis-server":
            return str(require(word))
        return word.replace("redis-cli ", f"redis-cli -p {self._ports['6379']} ")

    def _here(self, text: str, name: str) -> str:
        """A word of a command or a variable with this machine's addresses and folders."""
        for volume in self.services[name].get("volumes", []):
            source, target = volume.split(":")[:2] if isinstance(volume, str) else (volume["source"], volume["target"])
            if re.search(rf"(^|=){target}(/|$)", text):
                text = text.replace(target, str(self._source(source)))
        return ADDRESS.sub(lambda found: f"{HOST}{found[1]}{self._ports[found[2]]}", text)

    def _source(self, source: str) -> Path:
        """A folder of the checkout or this machine, or a named volume; Prometheus' is a copy: its targets differ."""
        if source.startswith("./deploy/prometheus"):
            return self._folder / "etc-prometheus"
        return ROOT / source if source.startswith((".", "/")) else self._volume(source)

    def _volume(self, name: str) -> Path:
        folder = self._folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _kafka(self) -> list[str | Path]:
        """What the image does: make server.properties of the variables, format the data folder, start the broker."""
        kafka = find_kafka()
        default, mounted, final = (self._folder / "kafka" / name for name in ("default", "mounted", "final"))
        for folder in (default, mounted, final):
            folder.mkdir(parents=True)
        for file in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
            (default / file).touch()
        setup = kafka.command(
            "kafka.docker.KafkaDockerWrapper", "setup", "-D", default, "-M", mounted, "-F", final, temp=final
        )
        done = subprocess.run(setup, env=self.environment("kafka"), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return kafka.command("kafka.Kafka", final / "server.properties", temp=final)

    def _rewrite_targets(self) -> None:
        """The configuration with what DNS would find, and with short intervals."""
        source, target = ROOT / "deploy" / "prometheus", self._folder / "etc-prometheus"
        target.mkdir()
        config = yaml.safe_load((source / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = dict.fromkeys(config["global"], f"{SCRAPE_INTERVAL:g}s")
        config["rule_files"] = [str(source / name) for name in config["rule_files"]]
        for job in config["scrape_configs"]:
            found = job.pop("dns_sd_configs")
            ports = {str(each["port"]) for each in found if set(each["names"]) & set(self.running)}
            job["static_configs"] = [{"targets": [self.address(port) for port in sorted(ports)]}]
        (target / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
