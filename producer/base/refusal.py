"""Why a broker refuses a connection: kafka-python does not say (consumer/kafka/README.md, fact 35)."""

import ssl
from typing import Any

from kafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient

from producer.base.settings import KafkaSettings

TIMEOUT_MS = 5_000
"""For one connection, in milliseconds."""
SASL = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError, IllegalSaslStateError)


def refusal(settings: KafkaSettings) -> str | None:
    """Why waiting does not help: a certificate that is not trusted, a wrong password, a file that is no PEM.

    Args:
        settings: where the broker is and who we are. One connection to each broker is tried, and nothing asked for.

    Returns:
        One line that names the settings; None when there is nothing of the kind.
    """
    if settings.security_protocol == "PLAINTEXT":
        return None
    client = KafkaNetClient(**settings.kafka())
    manager = client._manager
    _read_before_close(manager)
    manager._net.start()
    try:
        for broker in manager.cluster.bootstrap_brokers():
            error = manager.run(_failure, manager, broker.node_id)
            if error and (why := _explain(error, f"{broker.host}:{broker.port}")):
                return why
    finally:
        client.close()
        manager._net.stop()
    return None


async def _failure(manager: Any, node_id: str) -> Exception | None:
    """Why a connection fails. It is returned: raised again, it would lose the context that says more."""
    try:
        await manager.get_connection(node_id, timeout_ms=TIMEOUT_MS)
    except (KafkaError, OSError) as error:
        return error
    return None


def _explain(error: Exception, server: str) -> str | None:
    if isinstance(error, SASL):
        return f"the broker at {server} refused: {error} (SASL_MECHANISM, SASL_USERNAME, SASL_PASSWORD)"
    cause = error if isinstance(error, ssl.SSLError) else error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate of {server} is not trusted: {cause.verify_message.rstrip('.')} (SSL_CAFILE)"
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):  # EOF: it begins, or ends
        return f"no TLS with {server}: {cause} (SECURITY_PROTOCOL, SSL_CAFILE, SSL_CERTFILE, SSL_KEYFILE)"
    return None


def _read_before_close(manager: Any) -> None:
    """Let connections return the data that came right before their end.

    A broker that refuses a password says so and closes. kafka-python reads both at once, and drops the data
    (`KafkaTCPTransport._read_from_sock`; consumer/kafka/README.md, fact 35).
    """
    build = manager._build_transport

    async def build_transport(*args: Any, **named: Any) -> Any:
        transport = await build(*args, **named)
        receive = transport._sock_recv

        def received() -> Any:
            data, error = receive()
            return data, None if data else error  # the end is seen again at the next reading

        transport._sock_recv = received
        return transport

    manager._build_transport = build_transport
