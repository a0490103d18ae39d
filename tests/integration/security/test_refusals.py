"""What a person sees when broker or Redis and a role do not trust each other: one clear line, and nothing secret."""

import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.local.process import HOST
from tests.integration.security.flow import Flow, one_line
from tests.integration.security.secured import ROLES, Secured

KAFKA = {
    "a wrong password": "Authentication failed during authentication due to invalid credentials",
    "an unknown authority": "is not trusted: unable to get local issuer certificate (SSL_CAFILE)",
    "a wrong host name": "is not trusted: Hostname mismatch, certificate is not valid for 'localhost' (SSL_CAFILE)",
}
REDIS = {
    "a wrong password": "refused: invalid username-password pair",
    "an unknown authority": "certificate verify failed: self-signed certificate in certificate chain",
    "a wrong host name": "certificate verify failed: Hostname mismatch, certificate is not valid for 'localhost'",
}
LEFT_OUT = ("recount", "dead-letters list", "benchmark", "pictures")
AT_KAFKA = [
    (role, list(KAFKA)[number % 3]) for number, role in enumerate(role for role in ROLES if role not in LEFT_OUT)
]
"""Roles that print nothing else and need no export, and every fault more than once: they all connect in one place."""
AT_REDIS = list(zip(("popularity", "count", "verify"), REDIS, strict=True))

Refused = Mapping[tuple[str, str, str], subprocess.CompletedProcess[str]]


def changes_at_kafka(secured: Secured, fault: str) -> dict[str, str]:
    return {
        "a wrong password": {"SASL_PASSWORD": "hunter2-wrong"},
        "an unknown authority": {"SSL_CAFILE": str(secured.certificates.stranger)},
        "a wrong host name": {"BOOTSTRAP_SERVERS": f"localhost:{secured.port}"},
    }[fault]


def changes_at_redis(secured: Secured, fault: str) -> dict[str, str]:
    right = secured.counters()["PLACESTREAM_REDIS_URL"]
    return {
        "a wrong password": {"REDIS_URL": right.replace("hunter2-redis", "hunter2-wrong")},
        "an unknown authority": {"REDIS_SSL_CAFILE": str(secured.certificates.stranger)},
        "a wrong host name": {"REDIS_URL": right.replace(HOST, "localhost")},
    }[fault]


@pytest.fixture(scope="module")
def refused(secured: Secured, flow: Flow) -> Refused:
    """How all of them ended; several at once, for they wait most of the time."""
    cases = [(role, "kafka", fault) for role, fault in AT_KAFKA] + [(role, "redis", fault) for role, fault in AT_REDIS]

    def run(case: tuple[str, str, str]) -> subprocess.CompletedProcess[str]:
        role, where, fault = case
        changes = (changes_at_kafka if where == "kafka" else changes_at_redis)(secured, fault)
        return flow.run(role, STARTUP_TIMEOUT="2", **changes)

    with ThreadPoolExecutor(4) as threads:
        return dict(zip(cases, threads.map(run, cases), strict=True))


@pytest.mark.parametrize(("role", "fault"), AT_KAFKA)
def test_a_broker_and_a_role_that_do_not_trust_each_other(refused: Refused, role: str, fault: str) -> None:
    line = one_line(refused[role, "kafka", fault])

    assert KAFKA[fault] in line
    assert ("SASL_PASSWORD" if "password" in fault else "SSL_CAFILE") in line


@pytest.mark.parametrize(("role", "fault"), AT_REDIS)
def test_a_redis_and_a_role_that_do_not_trust_each_other(refused: Refused, role: str, fault: str) -> None:
    line = one_line(refused[role, "redis", fault])

    assert REDIS[fault] in line
    assert "REDIS_URL" in line


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_not_even_a_log_of_everything_has_a_secret(flow: Flow, mechanism: str) -> None:
    ended = flow.run("count", SASL_MECHANISM=mechanism, LOG_LEVEL="debug")  # looks for secrets itself

    assert ended.returncode == 1
    assert "Authenticated as count via SASL" in ended.stderr
    assert "SaslAuthenticateRequest" in ended.stderr


def test_a_mechanism_that_the_broker_does_not_have(flow: Flow) -> None:
    line = one_line(flow.run("topics", SASL_MECHANISM="SCRAM-SHA-256", STARTUP_TIMEOUT="2"))

    assert "UnsupportedSaslMechanism" in line
    assert "SASL_MECHANISM" in line
