"""Both servers together, in a temporary folder that goes with them."""

import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import kafka_jars
from deploy.local.broker import Broker
from deploy.local.kafka_jars import find_kafka
from deploy.local.redis_server import RedisServer, find_server
from deploy.local.server import Say, to_stderr


class Stack:
    """A broker and a Redis: ``with Stack() as stack: …``. Everything ends and goes at the end of the block.

    Only after `kill -9` of this very process the temporary folder stays; the servers end even then.

    Args:
        say: takes the lines of progress.

    Raises:
        CommandError: (at the start) a package is missing, or a server does not start; nothing is left behind.
    """

    broker: Broker
    redis: RedisServer

    def __init__(self, say: Say = to_stderr) -> None:
        self._say = say
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        redis_server, kafka = find_server(self._say), find_kafka(self._say)
        self._folder = Path(tempfile.mkdtemp(prefix="placestream-"))
        self.redis = RedisServer(self._folder / "redis", redis_server)
        self.broker = Broker(self._folder / "kafka", kafka)
        try:
            self.redis.start()
            began = time.monotonic()
            self._say(f"kafka: starting Apache Kafka {kafka_jars.VERSION} …")
            self.broker.start()
            took = time.monotonic() - began
        except BaseException:
            self.stop()
            raise
        self._say(
            f"kafka: answers at {self.broker.address} (pid {self.broker.pid}) after {took:.1f} s; "
            f"redis at {self.redis.address} (pid {self.redis.pid})"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every command of Placestream finds both."""
        return {
            "PLACESTREAM_BOOTSTRAP_SERVERS": self.broker.address,
            "PLACESTREAM_REDIS_URL": self.redis.url,
        }

    def stop(self) -> None:
        """End both and remove their folder. Harmless when that is done."""
        self.broker.kill()  # the data goes with it: nothing to close cleanly
        self.redis.kill()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
