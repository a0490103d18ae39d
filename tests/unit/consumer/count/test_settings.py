import traceback
from pathlib import Path

import pytest

from consumer.count.settings import CountSettings, RedisSettings
from producer.base.errors import UsageError
from producer.base.settings import load


def redis_settings(url: str) -> RedisSettings:
    return load(RedisSettings, "x", ["--redis-url", url])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://s3cret@localhost:6379",
        "redis://",
        "redis://:s3cret@",
        "redis://u:s3cret@host:port",
        "redis://u:s3cret@host:0",
        "redis://u:s3cret@host:99999",
        "redis://[::1/0?s3cret",
        "redis://u:s3cret@host:6379?socket_timeout=soon",
        "redis://u:s3cret@host:6379?unknown_option=1",
    ],
)
def test_a_wrong_url_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        redis_settings(url)
    assert str(raised.value) == (
        "setting REDIS_URL: must look like redis://[user:password@]host:port/0 (or rediss:// for TLS); a node of a "
        "cluster will do, Unix sockets and Sentinel are not supported"
    )
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", "localhost:6379"),
        ("redis://u:s3cret@example.org:7000/3", "example.org:7000"),
        ("rediss://:s3cret%2F@[::1]:7000/0", "::1:7000"),
        ("redis://localhost:6379/0?socket_timeout=3", "localhost:6379"),
    ],
)
def test_the_address_for_messages_has_no_password(url: str, address: str) -> None:
    settings = redis_settings(url)
    assert settings.redis_address == address
    assert settings.redis_client() is not None
    assert "s3cret" not in f"{settings!r} {settings.model_dump(mode='json')}"


def test_count_listens_on_a_port_of_its_own() -> None:
    settings = load(CountSettings, "x", [])
    assert (settings.metrics_host, settings.metrics_port, settings.stop_at_end) == ("127.0.0.1", 9102, False)


@pytest.mark.parametrize(
    ("url", "file", "why"),
    [
        ("redis://localhost", "ca.pem", "REDIS_SSL_CAFILE is set, but REDIS_URL does not begin with rediss://"),
        ("rediss://localhost", "missing.pem", "missing.pem is not a file"),
        ("rediss://localhost", "ca.pem", None),
    ],
)
def test_an_authority_needs_tls_and_a_file(tmp_path: Path, url: str, file: str, why: str | None) -> None:
    (tmp_path / "ca.pem").touch()
    flags = ["--redis-url", url, "--redis-ssl-cafile", str(tmp_path / file)]

    if why is None:
        client = load(RedisSettings, "x", flags).redis_client()
        assert client.connection_pool.connection_kwargs["ssl_ca_certs"] == str(tmp_path / file)
    else:
        with pytest.raises(UsageError, match=why):
            load(RedisSettings, "x", flags)
