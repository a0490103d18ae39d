"""Reaching the broker at the start (retry while it comes up, then one clear line), and letting go of it."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from kafka import KafkaProducer
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from producer.base.errors import CommandError
from producer.base.refusal import refusal
from producer.base.settings import KafkaSettings

T = TypeVar("T")
log = logging.getLogger(__name__)

HOPELESS = (AuthorizationError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
"""Errors that waiting does not cure."""


def connect(settings: KafkaSettings, build: Callable[[], T]) -> T:
    """Build a Kafka client, retrying for STARTUP_TIMEOUT: its constructor connects (consumer/kafka/README.md, fact 12).

    Raises:
        CommandError: the broker cannot be reached, or refuses who we are.
    """
    deadline = time.monotonic() + settings.startup_timeout
    pause = 0.2
    while True:
        try:
            return build()
        except HOPELESS as error:
            raise CommandError(f"the broker at {settings.bootstrap_servers} refused: {error}") from None
        except UnsupportedVersionError as error:
            raise CommandError(
                f"the broker at {settings.bootstrap_servers} is older than needed, or no Apache Kafka "
                f"(deploy/BROKERS.md): {error}"
            ) from None
        except (KafkaError, OSError) as error:
            if why := refusal(settings):
                raise CommandError(why) from None
            if time.monotonic() + pause >= deadline:
                raise CommandError(
                    f"no Kafka broker answers at {settings.bootstrap_servers} "
                    f"(tried for {settings.startup_timeout:g} s; set BOOTSTRAP_SERVERS or start one): {error}"
                ) from None
            log.info("the broker at %s is not ready yet: %s", settings.bootstrap_servers, error)
            time.sleep(pause)
            pause = min(pause * 2, 2.0)


def close_at_once(producer: KafkaProducer) -> None:
    """Close a producer whose sends are settled or given up.

    `close(timeout=0)` alone would flush first, and leave the sender running (consumer/kafka/README.md, fact 29). So the
    sender is told to drop them before.
    """
    producer._sender.force_close()
    producer._sender.join(5.0)
    with contextlib.suppress(KafkaError):
        producer.close(timeout=0)
