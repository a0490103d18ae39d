"""Reaching the broker at the start (retry while it comes up, then one clear line), and letting go of it."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from kafka import KafkaProducer
from kafka.errors import (
    AuthorizationError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from producer.base.errors import CommandError
from producer.base.refusal import refusal
from producer.base.settings import KafkaSettings

T = TypeVar("T")
log = logging.getLogger(__name__)

HOPELESS = (AuthorizationError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
"""Errors that waiting does not cure."""

COORDINATOR_PAUSE = 0.05
"""Seconds between two looks for a coordinator: until the cluster has another one, the dead one is the answer."""


def connect(settings: KafkaSettings, build: Callable[[], T]) -> T:
    """Build a Kafka client, retrying for STARTUP_TIMEOUT: its constructor connects and raises after a while.

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

    kafka-python 3.0.12's own `close(timeout=0)` flushes first: with sends outstanding it raises, leaves its sender
    running and complains again when the interpreter ends. So the sender is told to drop them before.
    """
    producer._sender.force_close()
    producer._sender.join(5.0)
    with contextlib.suppress(KafkaError):
        producer.close(timeout=0)


def keep_asking_for_coordinator(producer: KafkaProducer) -> None:
    """Let a transactional producer outlive its coordinator.

    When the connection to the coordinator is refused, kafka-python 3.0.12 looks for another one but forgets the
    request it wanted to send: offsets or commit then wait without limit (`Sender._maybe_send_pending_request`; probed
    with one node of three killed). Its `await_ready` raises where that code expects False, which it handles well.
    """
    client = producer._sender._client
    await_ready = client.await_ready

    def is_ready(node_id: object, timeout_ms: float) -> bool:
        try:
            return bool(await_ready(node_id, timeout_ms=timeout_ms))
        except KafkaConnectionError:
            time.sleep(COORDINATOR_PAUSE)  # on the producer's own thread
            return False

    client.await_ready = is_ready


def bootstrap_timeout_ms(settings: KafkaSettings) -> int:
    """How long one attempt of a client's constructor may take: a few attempts fit into STARTUP_TIMEOUT."""
    return int(min(settings.startup_timeout, 5.0) * 1000)
