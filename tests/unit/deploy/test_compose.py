import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer import __version__
from consumer.count.settings import CountSettings
from consumer.label.settings import LabelSettings
from deploy.local.kafka_jars import VERSION
from producer.base.settings import KafkaSettings
from producer.base.settings import load as load_settings
from producer.topics import CreateSettings
from tests.unit.deploy.compose import FILE, ROOT, health_check, load, own, services

SERVICES = services()
SETTINGS: dict[str, type[KafkaSettings]] = {
    "topics": CreateSettings,
    "label": LabelSettings,
    "label-gpu": LabelSettings,
    "count": CountSettings,
}


def test_the_file_is_a_compose_file() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_these_are_the_services_and_only_demo_and_gpu_are_optional() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    always = {"kafka", "redis", "topics", "label", "count", "prometheus", "grafana"}
    assert profiles == {name: [] for name in always} | {"producer": ["demo"], "label-gpu": ["gpu"]}


def test_every_image_is_pinned() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+(-\w+)?", service["image"]), (name, service["image"])


def test_the_images_are_the_versions_that_are_tested_here() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{VERSION}"
    assert {service["image"] for name, service in SERVICES.items() if own(name)} == {
        f"placestream:{__version__}-cpu",
        f"placestream:{__version__}-cuda",
    }


def test_ports_are_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports), ports


def test_what_must_outlive_a_container_is_on_a_named_volume() -> None:
    named = {
        name: [volume.split(":")[0] for volume in service.get("volumes", []) if isinstance(volume, str)]
        for name, service in SERVICES.items()
    }
    kept = {name: [volume for volume in volumes if not volume.startswith(".")] for name, volumes in named.items()}
    assert {name: volumes for name, volumes in kept.items() if volumes} == {
        "kafka": ["kafka"],
        "redis": ["redis"],
        "label": ["models"],
        "label-gpu": ["models"],
        "prometheus": ["prometheus"],
        "grafana": ["grafana"],
    }
    assert set(load()["volumes"]) == {"kafka", "redis", "models", "prometheus", "grafana"}


def test_every_mounted_file_of_the_checkout_is_there() -> None:
    mounted = [
        ROOT / volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str) and volume.startswith(".")
    ]
    assert len(mounted) == 3
    assert all(path.is_dir() for path in mounted), mounted
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / "deploy/grafana/dashboards" / home.name).is_file()


def test_whatever_goes_on_has_a_health_check_and_comes_back() -> None:
    for name, service in SERVICES.items():
        goes_on = name not in ("topics", "producer")
        assert (health_check(service) is not None) == goes_on, name
        assert service["restart"] == ("unless-stopped" if goes_on else "no"), name


@pytest.mark.parametrize(
    ("name", "waits_for"),
    [
        ("topics", {"kafka": "service_healthy"}),
        ("producer", {"topics": "service_completed_successfully"}),
        ("label", {"topics": "service_completed_successfully"}),
        ("label-gpu", {"topics": "service_completed_successfully"}),
        ("count", {"topics": "service_completed_successfully", "redis": "service_healthy"}),
        ("grafana", {"prometheus": "service_healthy"}),
    ],
)
def test_a_service_waits_for_what_it_needs(name: str, waits_for: dict[str, str]) -> None:
    depends = {on: how["condition"] for on, how in SERVICES[name]["depends_on"].items()}
    assert depends == waits_for


@pytest.mark.parametrize("name", [name for name in SERVICES if own(name)])
def test_our_containers_can_change_nothing_and_gain_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]  # all else is read-only, and Python wants to write somewhere
    assert service["init"] is True  # the first process of a container ignores signals that it does not handle


@pytest.mark.parametrize("name", SETTINGS)
def test_every_variable_is_a_setting_of_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables: dict[str, str] = SERVICES[name]["environment"]
    fields = {f"PLACESTREAM_{field.upper()}" for field in SETTINGS[name].model_fields}
    assert set(variables) <= fields
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings(SETTINGS[name], name, [])
    assert settings.bootstrap_servers == "kafka:19092"


def test_a_stop_gives_a_worker_the_time_it_may_take() -> None:
    grace = int(SERVICES["label"]["stop_grace_period"].removesuffix("s"))
    default = load_settings(LabelSettings, "label", [])
    assert grace > default.drain_timeout + default.publish_limit


def test_the_gpu_worker_reserves_a_gpu_and_has_a_name_and_an_image_of_its_own() -> None:
    label, gpu = SERVICES["label"], SERVICES["label-gpu"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "deploy" not in label
    assert (label["build"]["args"]["VARIANT"], gpu["build"]["args"]["VARIANT"]) == ("cpu", "cuda")
    assert label["environment"]["PLACESTREAM_REPLICA"] != gpu["environment"]["PLACESTREAM_REPLICA"]


def test_redis_keeps_every_write_and_evicts_nothing() -> None:
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"


def test_prometheus_scrapes_the_ports_that_the_roles_are_given() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    scraped = {
        name: found["port"]
        for job in config["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }
    given = {
        name: int(service["environment"]["PLACESTREAM_METRICS_PORT"])
        for name, service in SERVICES.items()
        if "PLACESTREAM_METRICS_PORT" in service.get("environment", {})
    }
    assert scraped == given


def test_what_prometheus_scrapes_answers_outside_of_its_container() -> None:
    hosts = {
        name: service["environment"].get("PLACESTREAM_METRICS_HOST")
        for name, service in SERVICES.items()
        if "PLACESTREAM_METRICS_PORT" in service.get("environment", {})
    }
    assert hosts == dict.fromkeys(("label", "label-gpu", "count"), "0.0.0.0")


def test_variables_of_the_shell_reach_the_worker() -> None:
    chosen: Any = services({"PLACESTREAM_ENCODER": "conse", "PLACESTREAM_DATASET": "/data/posts"})
    assert chosen["label"]["environment"]["PLACESTREAM_ENCODER"] == "conse"
    assert chosen["producer"]["volumes"][0]["source"] == "/data/posts"
    assert "conse" not in json.dumps(SERVICES)
