"""A Prometheus with the alerts of `deploy/prometheus`, every second, of programs that come and go."""

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode

import yaml

from deploy.local.process import HOST
from deploy.local.server import Server

RULES = Path(__file__).parents[1] / "deploy/prometheus/rules.yml"


class Prometheus(Server):
    """Scrapes what `watch` has named; rules and configuration as deployed, but every second.

    Args:
        program: the executable.
        folder: where its data, configuration and log go.
    """

    name = "Prometheus"

    def __init__(self, program: Path, folder: Path) -> None:
        super().__init__(folder)
        self._program = program
        self._targets: dict[str, list[str]] = {}

    def command(self) -> Sequence[str | Path]:
        """The command line, with its configuration written."""
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": "all", "file_sd_configs": [{"files": [str(self._list)], "refresh_interval": "1s"}]}
            ],
        }
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration), "utf-8")
        self._write()
        return [
            self._program,
            f"--config.file={file}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
        ]

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5):
                return True
        except URLError:
            return False

    def watch(self, job: str, port: int) -> None:
        """Scrape this port of this machine as well."""
        self._targets.setdefault(job, []).append(f"{HOST}:{port}")
        self._write()

    def fired(self) -> set[str]:
        """The alerts that have fired since its start, without the project's name."""
        query = urlencode({"query": 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1d]))'})
        with urllib.request.urlopen(f"http://{self.address}/api/v1/query?{query}", timeout=30) as answer:
            found = json.load(answer)["data"]["result"]
        return {each["metric"]["alertname"].removeprefix("Placestream") for each in found}

    @property
    def _list(self) -> Path:
        return self.folder / "targets.json"

    def _write(self) -> None:
        groups = [{"targets": targets, "labels": {"job": job}} for job, targets in self._targets.items()]
        beside = self._list.with_suffix(".new")
        beside.write_text(json.dumps(groups), "utf-8")
        beside.replace(self._list)
