"""A broker with TLS, SASL and ACLs, and a Redis with TLS and a password; who may do what on them."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from deploy.local.broker import Broker
from deploy.local.kafka_jars import find_kafka
from deploy.local.process import HOST, free_ports
from deploy.local.redis_server import RedisServer, find_server
from tests.conftest import ROOT
from tests.integration.security.certificates import Certificates, make
from tests.integration.security.properties import secured_properties

PASSWORD = "hunter2-kafka"
REDIS_PASSWORD = "hunter2-redis"
ROLES: Mapping[str, Sequence[Mapping[str, Any]]] = yaml.safe_load(
    (ROOT / "deploy" / "contracts" / "acls.yml").read_text("utf-8")
)
"""Role -> what its user must be allowed to do."""


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that a role's user must be allowed to do; the name as in ``acls.yml``."""

    resource: str
    name: str
    prefix: bool
    operation: str
    optional: bool

    def resolved(self, names: Mapping[str, str]) -> str:
        """The name that it is about.

        Args:
            names: setting -> value.
        """
        name = self.name
        for setting, value in names.items():
            name = name.replace(setting, value)
        return name

    def acl(self, user: str, names: Mapping[str, str]) -> ACL:
        """It as Kafka has it, for this user."""
        kind = ACLResourcePatternType.PREFIXED if self.prefix else ACLResourcePatternType.LITERAL
        pattern = ResourcePattern(ResourceType[self.resource], self.resolved(names), kind)
        return ACL(f"User:{user}", "*", ACLOperation[self.operation], ACLPermissionType.ALLOW, pattern)


def rights_of(role: str) -> list[Right]:
    """What the user of a role must be allowed to do, by ``acls.yml``."""
    return [
        Right(row["resource"], row["name"], row.get("prefix", False), operation, row.get("optional", False))
        for row in ROLES[role]
        for operation in row["operations"]
    ]


def user_of(role: str) -> str:
    """The user of a role."""
    return role.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Secured:
    """Both servers. The broker's plain listener is for the tests themselves: there everybody may do everything."""

    broker: Broker
    port: int
    redis: RedisServer
    certificates: Certificates

    def kafka(self, user: str, **changes: str) -> dict[str, str]:
        """The variables by which a role reaches the broker as this user."""
        return {
            "PLACESTREAM_BOOTSTRAP_SERVERS": f"{HOST}:{self.port}",
            "PLACESTREAM_SECURITY_PROTOCOL": "SASL_SSL",
            "PLACESTREAM_SASL_MECHANISM": "SCRAM-SHA-512",
            "PLACESTREAM_SASL_USERNAME": user,
            "PLACESTREAM_SASL_PASSWORD": PASSWORD,
            "PLACESTREAM_SSL_CAFILE": str(self.certificates.authority),
        } | {f"PLACESTREAM_{name}": value for name, value in changes.items()}

    def counters(self, **changes: str) -> dict[str, str]:
        """The variables by which a role reaches Redis."""
        return {
            "PLACESTREAM_REDIS_URL": f"rediss://:{REDIS_PASSWORD}@{self.redis.address}/0",
            "PLACESTREAM_REDIS_SSL_CAFILE": str(self.certificates.authority),
        } | {f"PLACESTREAM_{name}": value for name, value in changes.items()}

    def allow(self, user: str, rights: Iterable[Right], names: Mapping[str, str]) -> None:
        """Let a user do just this, and nothing of before."""
        everything = ACLFilter(
            f"User:{user}",
            "*",
            ACLOperation.ANY,
            ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
        )
        with self.admin() as admin:
            admin.delete_acls([everything])
            acls = [right.acl(user, names) for right in rights]
            if acls:
                assert not admin.create_acls(acls)["failed"]

    def admin(self) -> Any:
        """An admin client that may do everything."""
        return closing(KafkaAdminClient(bootstrap_servers=self.broker.address))


@contextmanager
def started(openssl: Path) -> Iterator[Secured]:
    """Start both servers; they and their folder go at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="placestream-"))
    certificates = make(openssl, folder)
    plain, controller, port, redis_port = free_ports(4)
    users = dict.fromkeys(map(user_of, ROLES), PASSWORD)
    properties = secured_properties(plain, controller, port, certificates.both, users)
    broker = Broker(folder / "kafka", find_kafka(), (plain, controller), properties=properties, scram=users)
    tls: list[str | Path] = [
        *("--port", "0", "--tls-port", str(redis_port), "--tls-auth-clients", "no", "--requirepass", REDIS_PASSWORD),
        *("--tls-cert-file", certificates.certificate, "--tls-key-file", certificates.key),
        *("--tls-ca-cert-file", certificates.authority),
    ]
    client = {"ssl": True, "ssl_ca_certs": str(certificates.authority), "password": REDIS_PASSWORD}
    redis = RedisServer(folder / "redis", find_server(), (redis_port,), tls, client)
    try:
        redis.start()
        broker.start()
        yield Secured(broker, port, redis, certificates)
    finally:
        broker.kill()
        redis.kill()
        shutil.rmtree(folder, ignore_errors=True)
