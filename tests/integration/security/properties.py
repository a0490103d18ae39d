"""A broker's properties for a listener with TLS, SASL and ACLs, beside the plain one that it keeps for itself."""

from collections.abc import Mapping
from pathlib import Path

from deploy.local.process import HOST

LISTENER = "SECURED"


def secured_properties(
    plain: int, controller: int, secured: int, certificate: Path, users: Mapping[str, str]
) -> dict[str, str]:
    """For `Broker`'s `properties`: clients of the secured listener may do what ACLs allow, and nothing else.

    On the plain listener, loopback only, the broker and whoever sets up users and ACLs are anonymous super users.

    Args:
        plain: the broker's own port for clients.
        controller: the broker's controller port.
        secured: the port of the secured listener.
        certificate: PEM file with the private key (PKCS #8, not encrypted) and the certificate.
        users: user -> password for PLAIN; SCRAM's are given to `Broker` itself.
    """
    name = f"listener.name.{LISTENER.lower()}"
    module = "org.apache.kafka.common.security"
    plain_users = "".join(f' user_{user}="{password}"' for user, password in users.items())
    return {
        "listeners": f"PLAINTEXT://{HOST}:{plain},CONTROLLER://{HOST}:{controller},{LISTENER}://{HOST}:{secured}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{plain},{LISTENER}://{HOST}:{secured}",
        "listener.security.protocol.map": f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{LISTENER}:SASL_SSL",
        f"{name}.ssl.keystore.type": "PEM",
        f"{name}.ssl.keystore.location": str(certificate),
        f"{name}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        f"{name}.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required{plain_users};",
        f"{name}.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
    }
