import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumer.board.board import main
from consumer.board.settings import BoardSettings
from producer.base.errors import CommandError, UsageError
from producer.base.settings import load


def settings(*flags: str) -> BoardSettings:
    return load(BoardSettings, "board", flags)


def test_it_is_for_this_machine_alone_unless_told_otherwise() -> None:
    assert settings().host == "127.0.0.1"
    assert settings().hosts == ["127.0.0.1", "localhost", "[::1]"]
    assert settings("--host", "10.0.0.7").hosts[-1] == "10.0.0.7"
    assert settings("--host", "0.0.0.0", "--allowed-hosts", "board.example, b").hosts[-2:] == ["board.example", "b"]
    named = "board.example:8443,[2001:db8::1]:443,2001:db8::8090"
    assert settings("--allowed-hosts", named).hosts[-3:] == ["board.example", "[2001:db8::1]", "[2001:db8::8090]"]


@pytest.mark.parametrize("flags", [("--host", "0.0.0.0"), ("--host", "::"), ("--allowed-hosts", "*.example")])
def test_names_that_may_be_asked_for_are_never_all(flags: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="ALLOWED_HOSTS"):
        settings(*flags)


def test_since_is_a_time_or_so_long_ago() -> None:
    ago = settings("--since", "15m").since
    assert ago is not None
    assert 899 < (datetime.now(UTC) - ago).total_seconds() < 960
    assert settings("--since", "2026-11-24T09:00:00Z").since == datetime(2026, 11, 24, 9, tzinfo=UTC)
    with pytest.raises(UsageError, match="SINCE: must be an ISO 8601 time"):
        settings("--since", "yesterday")


def test_a_search_without_anything_to_search_is_one_line_that_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="^SEARCH needs VECTORS_TOPIC, .* or EXPORT"):
        settings("--search")
    assert settings("--search", "--export", str(tmp_path)).export == tmp_path
    with pytest.raises(UsageError, match="^DATASET is for the posts of an EXPORT"):
        settings("--dataset", str(tmp_path))
    monkeypatch.setenv("PLACESTREAM_VECTORS_TOPIC", "post-vectors")
    assert settings("--search").vectors_topic == "post-vectors"


def test_a_port_in_use_is_one_line_that_names_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=rf"127\.0\.0\.1:{port} \(HOST, PORT; .*: Address already in use"):
            main(["--port", str(port)])


def test_a_missing_extra_is_one_line_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(CommandError, match=r"board needs the package starlette: pip install 'placestream\[board\]'"):
        main([])
