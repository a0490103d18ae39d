import json
import math
import os
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import redis

from tests.conftest import PATIENCE, wait_until
from tests.integration.deploy.composed import Composed
from tests.tools import require
from tests.unit.deploy.dashboard import expressions
from tests.unit.deploy.rules import rules, selectors
from tests.wire import picture

POSTS = 24
BROKEN = 1

LONG = 120.0
"""Seconds that anything may take; about five do on a machine with nothing else to do."""

GO_ON = ("kafka", "redis", "label", "count", "prometheus")
"""Started here, in this order. Not here: grafana (no package of a registry has it) and label-gpu (no GPU)."""

EVENTS = {
    "placestream_expired_records_total": "a partition's series begins with the first record that expires unread",
}
"""Series that exist only after an event which this test does not bring about, and which event that is."""


class Running(Composed):
    """The services, and what their Prometheus answers."""

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        url = f"http://{self.address('9090')}/api/v1/{path}?{urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and value of every series that an expression gives now, NaN left out."""
        found = self.ask("query", query=expression)["result"]
        values = [(series["metric"], float(series["value"][1])) for series in found]
        return [(labels, value) for labels, value in values if not math.isnan(value)]


def wait_for(running: Running, expression: str, what: str) -> None:
    """Wait until an expression gives something; the model may take long to load on a busy machine."""
    wait_until(lambda: running.query(expression), LONG, what)


def missing(running: Running) -> set[str]:
    """Series that rules and dashboard ask for, and Prometheus has not now."""
    asked = [rule["expr"] for kind in ("alert", "record") for rule in rules(kind).values()] + expressions()
    return {selector for expression in asked for selector in selectors(expression) if not running.query(selector)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pictures of one colour with captions, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("dataset")
    pictures, captions = folder / "img" / "london", folder / "captions" / "london"
    for each in (pictures, captions):
        each.mkdir(parents=True)
    for number in range(POSTS):
        (pictures / f"{number}.png").write_bytes(picture((number * 10, 200 - number * 5, 90), size=64))
        (captions / f"{number}.txt").write_text(f"A wonderful day at the bridge, number {number}")
    (pictures / "broken.jpg").write_bytes(b"no picture at all")
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Iterator[Running]:
    """Every service on, the demo's posts through, and Prometheus has seen them come."""
    require("redis-server")
    require("redis-cli")
    require("prometheus")
    variables = {
        "PLACESTREAM_ENCODER": "conse",
        "PLACESTREAM_PARTITIONS": "2",
        "PLACESTREAM_DATASET": str(dataset),
    }
    composed = Running(tmp_path_factory.mktemp("composed"), variables)
    try:
        assert not any(composed.is_well(name) for name in GO_ON), "a health check that finds a service before it runs"
        for name in ("kafka", "redis"):
            composed.start(name)
        for name in ("kafka", "redis"):
            composed.wait_until_well(name)
        created = composed.run("topics")
        assert created.count("created, partitions=2") == 3, created
        for name in ("label", "count", "prometheus"):
            composed.start(name)
        for name in ("label", "count", "prometheus"):
            composed.wait_until_well(name)
        wait_for(composed, "placestream_counter_lag_records", "a first scrape of the counter")
        wait_for(composed, "placestream_assigned_partitions > 0", "a worker that has joined")
        composed.run("producer")
        wait_for(composed, f"placestream_counted_posts_total == {POSTS}", "every post, counted")
        wait_until(lambda: missing(composed) <= set(EVENTS), LONG, "every recording rule has seen the posts")
        yield composed
    finally:
        composed.close()


def test_posts_of_the_demo_are_labelled_and_counted_through_compose(running: Running) -> None:
    with closing(redis.Redis.from_url(f"redis://{running.address('6379')}/0", decode_responses=True)) as client:
        counted: Any = client.hvals("{placestream}:posts:london")
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert sum(map(int, counted)) == POSTS
    assert running.query('sum(placestream_posts_total{outcome="dead"})') == [({}, BROKEN)]


def test_a_second_up_sends_no_post_again(running: Running) -> None:
    with pytest.raises(AssertionError, match="already holds post"):
        running.run("producer")


def test_prometheus_sees_every_series_that_rules_and_dashboard_use(running: Running) -> None:
    assert missing(running) == set(EVENTS)


def test_prometheus_can_evaluate_every_rule(running: Running) -> None:
    found = [rule for group in running.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in found} == set(rules("alert")) | set(rules("record"))
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}


def test_the_first_dead_letter_is_told_and_nothing_else(running: Running) -> None:
    wait_for(running, 'ALERTS{alertname="PlacestreamFirstDeadLetter", reason="not_an_image"}', "the alert")
    firing = running.query('ALERTS{alertstate="firing"}')
    assert {labels["alertname"] for labels, _ in firing} == {"PlacestreamFirstDeadLetter"}


def test_no_expression_of_the_dashboard_is_empty_without_cause(running: Running) -> None:
    empty = {expression for expression in expressions() if not running.query(expression)}
    assert empty == {expression for expression in expressions() if selectors(expression) & set(EVENTS)}


def test_every_service_ends_in_good_order_when_it_is_stopped(running: Running) -> None:
    """Last: it stops them. The roles by the signal of the image."""
    for name in ("label", "count"):
        os.kill(running.running[name].pid, signal.SIGTERM)
    codes = {name: running.running[name].wait(PATIENCE) for name in ("label", "count")}
    assert codes == {"label": 0, "count": 0}
    assert not running.is_well("label")
