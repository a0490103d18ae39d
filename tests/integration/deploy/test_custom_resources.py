import json
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest

from tests.tools import require
from tests.unit.deploy.manifests import Manifest, base, find, read

PACKAGES = (
    "@kubernetes-models/keda@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
    "@kubernetes-models/strimzi-kafka-operator@1.0.1",
)
"""KEDA's, the Prometheus operator's and Strimzi's own types with schemas (MIT); fetched, not kept here."""

VALIDATE = """
import { readFileSync } from "node:fs";
import { ScaledObject, TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import { PodMonitor, PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
import { KafkaTopic, KafkaUser } from "@kubernetes-models/strimzi-kafka-operator/kafka.strimzi.io/v1";
const models = { ScaledObject, TriggerAuthentication, PodMonitor, PrometheusRule, KafkaTopic, KafkaUser };
const complaint = (manifest) => {
  try {
    new models[manifest.kind](manifest).validate();
    return "";
  } catch (error) {
    return error.message;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(complaint)));
"""
"""Reads manifests and prints what is wrong with each, nothing as an empty string."""


class Schemas:
    """The validators, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        """Install them there; scripts of packages are not run."""
        self._folder = folder
        self._node = require("node")
        npm = [str(require("npm")), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        npm += ["--fetch-timeout=20000", "--fetch-retries=5"]  # an answer that never comes would take five minutes
        command = [*npm, "--prefix", str(folder), *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=folder)
        assert done.returncode == 0, done.stderr

    def complaints(self, *manifests: Manifest) -> list[str]:
        """What is wrong with each manifest; nothing where it is right."""
        done = subprocess.run(
            [self._node, "--input-type=module", "-e", VALIDATE],
            input=json.dumps(manifests),
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self._folder,
        )
        assert done.returncode == 0, done.stderr
        said: list[str] = json.loads(done.stdout)
        return said


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    return Schemas(tmp_path_factory.mktemp("schemas"))


def test_the_operators_would_take_them(schemas: Schemas) -> None:
    manifests = [find(base(), kind) for kind in ("ScaledObject", "PodMonitor", "PrometheusRule")]
    for file in ("tls/trigger-authentication.yml", "strimzi/topics.yml", "strimzi/user.yml"):
        manifests += read(file)
    assert schemas.complaints(*manifests) == [""] * 8


def test_a_field_that_is_wrong_or_missing_would_be_noticed(schemas: Schemas) -> None:
    scaled, rule = deepcopy(find(base(), "ScaledObject")), deepcopy(find(base(), "PrometheusRule"))
    scaled["spec"]["maxReplicaCount"] = "six"
    del rule["spec"]["groups"][0]["rules"][0]["expr"]
    wrong, missing = schemas.complaints(scaled, rule)
    assert "maxReplicaCount must be integer" in wrong
    assert "must have required property expr" in missing
