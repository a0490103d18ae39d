import re
import subprocess

import pytest

from deploy.kubernetes.prometheus_rule import FILE, operator_rule
from tests.tools import require
from tests.unit.deploy.compose import ROOT
from tests.unit.deploy.rules import FOLDER, promtool_tests, rules, selectors, unknown

ALERTS, RECORDS = rules("alert"), rules("record")
RUNBOOK = "deploy/prometheus/RUNBOOK.md"


@pytest.mark.slow
def test_promtool_agrees_with_every_rule_on_firing_and_on_quiet_data() -> None:
    promtool = require("promtool")
    files = sorted((FOLDER / "tests").glob("*.yml"))
    tested = subprocess.run([promtool, "test", "rules", *files], capture_output=True, text=True, timeout=120)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_promtool_finds_no_fault_in_the_configuration() -> None:
    promtool = require("promtool")
    checked = subprocess.run(
        [promtool, "check", "config", FOLDER / "prometheus.yml"], capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_firing_and_a_quiet_test(alert: str) -> None:
    expected = [
        bool(case["exp_alerts"])
        for test in promtool_tests()
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == alert
    ]
    assert True in expected, "promtool never sees it fire"
    assert False in expected, "promtool never sees it quiet"


@pytest.mark.parametrize("record", RECORDS)
def test_every_recording_rule_has_a_test_with_data_and_a_quiet_one(record: str) -> None:
    values = [
        [sample["value"] for sample in case["exp_samples"]]
        for test in promtool_tests()
        for case in test.get("promql_expr_test", [])
        if record in selectors(case["expr"])
    ]
    assert any(any(value != 0 for value in found) for found in values), "promtool never sees it with data"
    assert any(all(value == 0 for value in found) for found in values), "promtool never sees it quiet"


def test_these_alerts_are_what_was_asked_for() -> None:
    assert set(ALERTS) == {
        "PlacestreamNoWorker",
        "PlacestreamNoProgress",
        "PlacestreamRecordsExpired",
        "PlacestreamLagGrows",
        "PlacestreamModelIdleWhileLagGrows",
        "PlacestreamOffsetStands",
        "PlacestreamLagUnknown",
        "PlacestreamWorkerGone",
        "PlacestreamRestartLoop",
        "PlacestreamPostsTooOld",
        "PlacestreamPartitionStuck",
        "PlacestreamDeadLetterRatio",
        "PlacestreamDeadLetterFlood",
        "PlacestreamHarmfulRecord",
        "PlacestreamFirstDeadLetter",
        "PlacestreamTransactionsAbort",
        "PlacestreamRebalanceStorm",
        "PlacestreamCounterBehind",
        "PlacestreamCitiesCapped",
        "PlacestreamNotClassifiedShift",
    }


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_leads_to_its_section_of_the_runbook(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "description"} < set(rule["annotations"])
    words = re.sub(r"(?<!^)([A-Z])", r" \1", alert.removeprefix("Placestream")).lower()
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{words.replace(' ', '-')}"


def test_the_runbook_has_a_section_for_every_alert_and_no_other() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / RUNBOOK).read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {f"{RUNBOOK}#{heading.lower().replace(' ', '-')}" for heading in headings}
    assert anchors == {rule["annotations"]["runbook_url"] for rule in ALERTS.values()}


def test_every_series_that_a_rule_asks_for_is_measured_or_recorded() -> None:
    assert not unknown(rule["expr"] for rule in (*ALERTS.values(), *RECORDS.values()))


def test_the_operators_rules_are_the_same_rules() -> None:
    assert FILE.read_text(encoding="utf-8") == operator_rule(), "run: python -m deploy.kubernetes.prometheus_rule"
