"""Writes the rules of ../prometheus/rules.yml as the Prometheus operator reads them: one set of rules, two dresses."""

from pathlib import Path

RULES = Path(__file__).parents[1] / "prometheus" / "rules.yml"
FILE = Path(__file__).parent / "base" / "prometheus-rule.yml"

HEAD = """\
# Made of ../../prometheus/rules.yml by `python -m deploy.kubernetes.prometheus_rule`: change that file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: placestream
spec:
"""


def operator_rule() -> str:
    """The PrometheusRule, its comments left out."""
    lines = RULES.read_text(encoding="utf-8").splitlines()
    return HEAD + "".join(f"  {line}\n" for line in lines if line and not line.lstrip().startswith("#"))


if __name__ == "__main__":
    FILE.write_text(operator_rule(), encoding="utf-8")
