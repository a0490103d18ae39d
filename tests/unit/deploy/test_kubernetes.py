import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from consumer import __version__
from consumer.board.settings import BoardSettings
from consumer.count.settings import CountSettings
from consumer.label.settings import LabelSettings
from producer.base.settings import KafkaSettings
from producer.base.settings import load as load_settings
from producer.topics import CreateSettings, _wanted
from tests.tools import require
from tests.unit.deploy.compose import ROOT
from tests.unit.deploy.manifests import (
    FOLDER,
    Manifest,
    base,
    configuration,
    container,
    find,
    gpu,
    kustomization,
    read,
    variables,
)

BASE, GPU = base(), gpu()
BUILDS = {"base": BASE, "gpu": GPU}
OF_OTHERS = ("ScaledObject", "PodMonitor", "PrometheusRule")
"""Kinds whose schemas are not Kubernetes' own: tests/integration/deploy/test_custom_resources.py."""
CORE = [
    pytest.param(manifest, id=f"{build}-{manifest['kind']}-{manifest['metadata']['name']}")
    for build, manifests in BUILDS.items()
    for manifest in manifests
    if manifest["kind"] not in OF_OTHERS
]
WORKLOADS: list[tuple[str, str, type[KafkaSettings]]] = [
    ("StatefulSet", "placestream-label", LabelSettings),
    ("Deployment", "placestream-count", CountSettings),
    ("Job", "placestream-topics", CreateSettings),
]
LABEL = find(BASE, "StatefulSet")
PAGE = (ROOT / "deploy/README.md").read_text("utf-8")
SECURITY = (ROOT / "deploy/SECURITY.md").read_text("utf-8")


def tagged(image: str) -> str:
    """An image with the tag that the kustomization gives it."""
    (given,) = kustomization("base")["images"]
    return f"{image}:{given['newTag']}" if image == given["name"] else image


def kustomize(folder: Path) -> str:
    """The manifests that kubectl makes of a folder."""
    return subprocess.run(
        [require("kubectl"), "kustomize", folder], capture_output=True, text=True, timeout=60, check=True
    ).stdout


@pytest.mark.parametrize("manifest", CORE)
def test_kubernetes_would_take_it(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_mistyped_field_would_be_noticed() -> None:
    mistyped = LABEL | {"spec": LABEL["spec"] | {"podManagementPolice": "Parallel"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(mistyped, kubernetes_validate.latest_version(), strict=True)


def test_the_kustomization_names_every_file() -> None:
    files = {file.name for file in (FOLDER / "base").iterdir()} - {"kustomization.yaml"}
    assert set(kustomization("base")["resources"]) == files


@pytest.mark.parametrize("build", BUILDS)
def test_kustomize_builds_what_is_looked_at_here(build: str) -> None:
    """What kustomize adds (namespace, common label, the ConfigMap's hash) is taken away again."""
    built = yaml.safe_load_all(kustomize(FOLDER / build))
    found = {(each["kind"], each["metadata"]["name"]): each for each in built}
    (config_map,) = [each for (kind, _), each in found.items() if kind == "ConfigMap"]
    assert config_map["data"] == configuration()
    for manifest in BUILDS[build]:
        one = found[manifest["kind"], manifest["metadata"]["name"]]
        assert one["metadata"].get("namespace", "placestream") == "placestream"
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "placestream"
        if "template" in manifest.get("spec", {}):
            inside, expected = container(one), container(manifest)
            assert inside["envFrom"][0]["configMapRef"]["name"] == config_map["metadata"]["name"]
            differ = {key for key in inside | expected if inside.get(key) != expected.get(key)}
            assert differ <= {"envFrom", "image"}
            assert inside["image"] == tagged(expected["image"])
            assert one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/part-of"] == "placestream"


@pytest.mark.parametrize(("build", "images"), [("base", {"cpu"}), ("gpu", {"cpu", "cuda"})])
def test_the_page_s_overlay_builds_with_its_images_and_addresses(build: str, images: set[str], tmp_path: Path) -> None:
    overlay = re.search(r"`deploy/kubernetes/mine/kustomization.yaml`.*?```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert overlay
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    mine = tmp_path / "kubernetes/mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(overlay[1].replace("../base]", f"../{build}]"), "utf-8")
    built = list(yaml.safe_load_all(kustomize(mine)))
    (config_map,) = [each for each in built if each["kind"] == "ConfigMap"]
    assert config_map["data"].keys() == configuration().keys()
    assert config_map["data"]["PLACESTREAM_BOOTSTRAP_SERVERS"] == "broker-1:9092"
    used = {container(each)["image"] for each in built if "template" in each.get("spec", {})}
    assert used == {f"REGISTRY/placestream:{__version__}-{image}" for image in images}
    for image in used - {f"REGISTRY/placestream:{__version__}-cuda"}:
        assert f"-t {image} ." in PAGE


@pytest.mark.parametrize(("kind", "name", "settings"), WORKLOADS)
@pytest.mark.parametrize("build", BUILDS)
def test_every_variable_is_a_setting_that_its_command_takes(
    kind: str, name: str, settings: type[KafkaSettings], build: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = container(find(BUILDS[build], kind, name))
    given = variables(inside)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    load_settings(settings, name, [])
    every: set[str] = {field for each in (LabelSettings, CountSettings, CreateSettings) for field in each.model_fields}
    assert {variable.removeprefix("PLACESTREAM_").lower() for variable in given} - {"omp_num_threads"} <= every
    own = {variable["name"].removeprefix("PLACESTREAM_").lower() for variable in inside.get("env", [])}
    assert own - {"omp_num_threads"} <= set(settings.model_fields)


@pytest.mark.parametrize("build", [*BUILDS, "board"])
def test_a_pod_can_change_nothing_and_gain_nothing(build: str) -> None:
    manifests = BUILDS.get(build) or read("board/board.yml")
    pods = [each["spec"]["template"]["spec"] for each in manifests if "template" in each.get("spec", {})]
    assert len(pods) == (1 if build == "board" else len(WORKLOADS))
    for pod in pods:
        check_that_it_can_change_nothing_and_gain_nothing(pod)


def check_that_it_can_change_nothing_and_gain_nothing(pod: Manifest) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (inside,) = pod["containers"]
    assert inside["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert inside["resources"]["requests"]
    assert inside["resources"]["limits"]["memory"]


@pytest.mark.parametrize("build", BUILDS)
def test_images_are_pinned_to_this_version(build: str) -> None:
    images = {container(each)["image"] for each in BUILDS[build] if "template" in each.get("spec", {})}
    cuda = {f"placestream:{__version__}-cuda"} if build == "gpu" else set()
    assert set(map(tagged, images)) == {f"placestream:{__version__}-cpu"} | cuda


def test_a_worker_keeps_its_name_so_that_its_transactional_id_outlives_the_pod() -> None:
    replica = {each["name"]: each for each in container(LABEL)["env"]}["PLACESTREAM_REPLICA"]
    assert replica["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert LABEL["spec"]["podManagementPolicy"] == "Parallel"
    assert LABEL["spec"]["serviceName"] == find(BASE, "Service")["metadata"]["name"]
    assert find(BASE, "Service")["spec"]["clusterIP"] == "None"


def test_a_worker_has_the_time_to_publish_what_is_in_flight() -> None:
    default = load_settings(LabelSettings, "label", [])
    assert (
        LABEL["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        > default.drain_timeout + default.publish_limit
    )


@pytest.mark.parametrize(("kind", "name", "settings"), WORKLOADS[:2])
def test_probes_ask_the_port_and_paths_that_the_role_answers(
    kind: str, name: str, settings: type[KafkaSettings]
) -> None:
    inside = container(find(BASE, kind, name))
    assert inside["ports"] == [{"name": "metrics", "containerPort": settings.model_fields["metrics_port"].default}]
    asked = {probe: inside[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
    assert {probe: get["path"] for probe, get in asked.items()} == {
        "startup": "/readyz",  # a model may take longer to load than a loop may stand still
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {get["port"] for get in asked.values()} == {"metrics"}
    assert variables(inside)["PLACESTREAM_METRICS_HOST"] == "0.0.0.0"


def test_keda_scales_the_statefulset_up_to_the_partitions() -> None:
    scaled = find(BASE, "ScaledObject")["spec"]
    topics = variables(container(find(BASE, "Job")))
    assert scaled["scaleTargetRef"] == {"kind": "StatefulSet", "name": LABEL["metadata"]["name"]}
    assert scaled["maxReplicaCount"] == int(topics["PLACESTREAM_PARTITIONS"])
    assert scaled["minReplicaCount"] == 1
    assert "replicas" not in LABEL["spec"]  # an apply would take back what KEDA has set
    (trigger,) = scaled["triggers"]
    assert trigger["metadata"]["topic"] == configuration()["PLACESTREAM_INPUT_TOPIC"]
    assert trigger["metadata"]["consumerGroup"] == configuration()["PLACESTREAM_GROUP_ID"]
    assert trigger["metadata"]["bootstrapServersFromEnv"] in configuration()


def test_a_finished_job_does_not_stand_in_the_way_of_the_next_apply() -> None:
    """Kubernetes refuses any change of a Job's template, that of the image and of the ConfigMap's name included."""
    assert find(BASE, "Job")["spec"]["ttlSecondsAfterFinished"] <= 60


def test_the_counter_is_one() -> None:
    assert find(BASE, "Deployment")["spec"]["replicas"] == 1


def test_a_drained_node_takes_one_worker_at_a_time() -> None:
    budget = find(BASE, "PodDisruptionBudget")["spec"]
    assert budget == {"maxUnavailable": 1, "selector": LABEL["spec"]["selector"]}


def test_nobody_but_prometheus_comes_in_and_only_what_is_needed_goes_out() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in BASE if each["kind"] == "NetworkPolicy"}
    everybody = policies.pop("placestream")
    assert everybody["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "placestream"}
    assert everybody["policyTypes"] == ["Ingress", "Egress"]
    assert everybody["ingress"] == [{"from": [in_namespace("monitoring")], "ports": [{"port": "metrics"}]}]
    dns = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert everybody["egress"] == [
        {"to": [in_namespace("kube-system")], "ports": dns},
        {"ports": [{"port": 9092}, {"port": 9093}, {"port": 9094}]},
    ]
    assert {name: spec["egress"] for name, spec in policies.items()} == {
        "placestream-count": [{"ports": [{"port": 6379}, {"port": 6380}]}],
        "placestream-label": [{"ports": [{"port": 443}]}],
    }
    for name, spec in policies.items():
        assert spec["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": name}}
        assert spec["policyTypes"] == ["Egress"]


def test_the_counter_reaches_every_redis_that_is_written_about() -> None:
    addresses = (configuration()["PLACESTREAM_REDIS_URL"], PAGE, SECURITY)
    ports = {int(port) for text in addresses for port in re.findall(r"rediss?://[^\s/`]+:(\d+)", text)}
    assert ports == {6379, 6380}
    (egress,) = find(BASE, "NetworkPolicy", "placestream-count")["spec"]["egress"]
    assert ports <= {each["port"] for each in egress["ports"]}


def in_namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def test_prometheus_finds_the_pods_that_have_metrics() -> None:
    monitor = find(BASE, "PodMonitor")["spec"]
    (common,) = kustomization("base")["labels"]
    assert common["includeTemplates"] is True
    assert monitor["selector"]["matchLabels"] == common["pairs"]
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == ["metrics"]


def test_with_both_components_every_pod_trusts_the_ca_and_keda_signs_in(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    mine = tmp_path / "kubernetes/mine"
    mine.mkdir()
    overlay = {"resources": ["../base"], "components": ["../board", "../tls"], "namespace": "placestream"}
    (mine / "kustomization.yaml").write_text(yaml.safe_dump(overlay), "utf-8")
    built = list(yaml.safe_load_all(kustomize(mine)))

    for manifest in built:
        if manifest["kind"] not in (*OF_OTHERS, "TriggerAuthentication"):
            kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    (config_map,) = [each["data"] for each in built if each["kind"] == "ConfigMap"]
    file = Path(config_map["PLACESTREAM_SSL_CAFILE"])
    pods = [each["spec"]["template"]["spec"] for each in built if "template" in each.get("spec", {})]
    assert len(pods) == 4
    assert {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/part-of"]
        for each in built
        if "template" in each.get("spec", {})
    } == {"placestream"}, "a NetworkPolicy would pass one over"
    for pod in pods:
        (inside,) = pod["containers"]
        assert inside["image"] == f"placestream:{__version__}-cpu"
        assert {each["name"]: each["mountPath"] for each in inside["volumeMounts"]}["ca"] == str(file.parent)
        (volume,) = [each["secret"] for each in pod["volumes"] if each["name"] == "ca"]
        assert volume == {"secretName": "placestream-ca", "items": [{"key": "ca.crt", "path": file.name}]}
    (trigger,) = find(built, "ScaledObject")["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] == find(built, "TriggerAuthentication")["metadata"]["name"]
    assert config_map["PLACESTREAM_SASL_MECHANISM"] == "SCRAM-SHA-512"
    assert (trigger["metadata"]["sasl"], trigger["metadata"]["tls"]) == ("scram_sha512", "enable")


def test_the_board_answers_its_ingress_and_its_probes() -> None:
    board = find(read("board/board.yml"), "Deployment")
    inside = container(board)
    settings = BoardSettings.model_validate(
        {each["name"].removeprefix("PLACESTREAM_").lower(): each["value"] for each in inside["env"]}
    )
    (port,) = inside["ports"]
    assert port["containerPort"] == settings.port
    for probe in ("readinessProbe", "livenessProbe"):
        (header,) = inside[probe]["httpGet"]["httpHeaders"]
        assert header["name"] == "Host"
        assert header["value"] in settings.hosts


def test_strimzi_creates_the_topics_that_the_command_would() -> None:
    created = _wanted(CreateSettings.model_validate({"partitions": 6, "replication_factor": 3}), None)
    declared = {each["metadata"]["name"]: each["spec"] for each in read("strimzi/topics.yml")}
    assert declared.keys() == {topic.name for topic in created}
    for topic in created:
        spec = declared[topic.name]
        assert (spec["partitions"], spec["replicas"]) == (topic.partitions, topic.replication_factor)
        assert {key: str(value) for key, value in spec["config"].items()} == topic.config


def test_strimzi_s_user_may_do_what_the_roles_need() -> None:
    names = configuration() | {"PLACESTREAM_GROUP_ID-": "placestream-"}
    (user,) = read("strimzi/user.yml")
    granted = {
        (each["resource"]["type"].lower(), each["resource"]["name"], operation.lower())
        for each in user["spec"]["authorization"]["acls"]
        for operation in each["operations"]
    }
    acls = yaml.safe_load((ROOT / "deploy/contracts/acls.yml").read_text("utf-8"))
    needed = {
        (
            acl["resource"].lower().replace("_", ""),
            names.get(f"PLACESTREAM_{acl['name']}", acl["name"]),
            operation.lower().replace("_", ""),
        )
        for role in ("topics", "label", "count", "board")
        for acl in acls[role]
        if acl["name"] != "VECTORS_TOPIC"  # which the base does not set
        for operation in acl["operations"]
    }
    left_out = {("topic", "__consumer_offsets", "read"), ("cluster", "kafka-cluster", "clusteraction")}
    assert granted == needed - left_out


def test_the_gpu_patch_gives_each_worker_a_gpu_and_keeps_the_rest() -> None:
    patched = find(GPU, "StatefulSet")
    inside = container(patched)
    assert inside["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert inside["resources"]["requests"] == container(LABEL)["resources"]["requests"]
    assert variables(inside)["PLACESTREAM_DEVICE"] == "cuda"
    assert variables(inside)["PLACESTREAM_PRECISION"] == "fp16"
    assert variables(inside)["PLACESTREAM_REPLICA"] == "metadata.name"
    assert [each for each in GPU if each["kind"] != "StatefulSet"] == [
        each for each in BASE if each["kind"] != "StatefulSet"
    ]
