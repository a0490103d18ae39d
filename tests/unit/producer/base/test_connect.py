import pytest
from kafka.errors import KafkaError, KafkaTimeoutError, SaslAuthenticationFailedError, UnsupportedVersionError

from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.settings import KafkaSettings


def settings(startup_timeout: float) -> KafkaSettings:
    return KafkaSettings.model_validate({"bootstrap_servers": "broker:9", "startup_timeout": startup_timeout})


def test_a_broker_that_comes_up_is_waited_for() -> None:
    answers: list[Exception | str] = [KafkaTimeoutError("no"), OSError("refused"), "client"]

    def build() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert connect(settings(10), build) == "client"


def test_after_the_startup_timeout_one_line_says_what_to_do() -> None:
    def build() -> str:
        raise KafkaTimeoutError("nobody there")

    with pytest.raises(
        CommandError, match=r"^no Kafka broker answers at broker:9 \(tried for 0.3 s; set BOOTSTRAP_SERVERS"
    ):
        connect(settings(0.3), build)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (SaslAuthenticationFailedError("wrong password"), "refused: .*wrong password"),
        (UnsupportedVersionError("no such request"), "is older than needed, or no Apache Kafka .*no such request"),
    ],
)
def test_a_refusal_is_not_waited_for(error: KafkaError, why: str) -> None:
    attempts = []

    def build() -> str:
        attempts.append(1)
        raise error

    with pytest.raises(CommandError, match=f"^the broker at broker:9 {why}"):
        connect(settings(30), build)
    assert len(attempts) == 1


@pytest.mark.parametrize(("startup_timeout", "attempt"), [(30, 5000), (2, 2000)])
def test_one_attempt_is_shorter_than_all(startup_timeout: float, attempt: int) -> None:
    assert settings(startup_timeout).kafka()["bootstrap_timeout_ms"] == attempt
