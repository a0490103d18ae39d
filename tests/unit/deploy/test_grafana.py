from itertools import combinations

import pytest
import yaml

from tests.unit.deploy.compose import ROOT, services
from tests.unit.deploy.dashboard import FILE, expressions, load, panels
from tests.unit.deploy.rules import unknown

PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, object]) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]  # type: ignore[index]
    assert panel["targets"]


@pytest.mark.parametrize(
    "metric",
    [
        "placestream_posts_total",
        "placestream:end_to_end_seconds:p99_5m",
        "placestream_consumer_lag_records",
        "placestream_stage_seconds_sum",
        "placestream_batch_posts_sum",
        "placestream:text_encodings_skipped:ratio5m",
        "placestream_dead_letters_total",
        "placestream_resyncs_total",
        "placestream_counter_lag_records",
    ],
)
def test_what_was_asked_for_is_shown(metric: str) -> None:
    assert any(metric in expression for expression in expressions())


def test_every_series_of_the_dashboard_is_measured_or_recorded() -> None:
    assert not unknown(expressions())


def test_panels_lie_beside_each_other() -> None:
    places = [panel["gridPos"] for panel in load()["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_panels_have_numbers_of_their_own() -> None:
    numbers = [panel["id"] for panel in load()["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_any_prometheus_can_be_chosen_and_the_provisioned_one_is_the_default() -> None:
    (variable,) = load()["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["isDefault"] is True
    assert source["url"] == "http://prometheus:9090"
    assert "--config.file=/etc/prometheus/prometheus.yml" in services()["prometheus"]["command"]
    assert services()["prometheus"]["ports"][0].endswith(":9090")


def test_the_provider_finds_the_dashboard_where_compose_mounts_it() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/placestream.yml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in services()["grafana"]["volumes"])
    folder = mounts[provider["options"]["path"]]
    assert (ROOT / folder).resolve() == FILE.parent
    assert (ROOT / mounts["/etc/grafana/provisioning"]).resolve() == PROVISIONING
