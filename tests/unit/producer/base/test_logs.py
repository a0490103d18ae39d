import logging
import warnings

import pytest
from pydantic import Field, SecretStr

from producer.base.logs import LogSettings, event, setup


class Settings(LogSettings):
    """With secrets."""

    url: SecretStr = Field(SecretStr("rediss://user:p%40ss%20w@host/0"), description="an address")
    password: SecretStr = Field(SecretStr("hünter'2"), description="a password")
    missing: SecretStr | None = Field(None, description="none")


@pytest.mark.usefixtures("as_before")
def test_pillow_s_warnings_of_strange_pictures_are_no_part_of_the_log() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        setup(LogSettings.model_validate({}))
        warnings.warn_explicit("Corrupt EXIF data", UserWarning, "TiffImagePlugin.py", 982, "PIL.TiffImagePlugin")
        warnings.warn_explicit("something else", UserWarning, "other.py", 1, "other")
    assert [str(warning.message) for warning in said] == ["something else"]


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_line_has_a_secret_whoever_writes_it(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    setup(Settings.model_validate({"log_format": log_format, "log_level": "debug"}))
    log = logging.getLogger("kafka.admin")
    log.setLevel(logging.DEBUG)  # a command that ran in this process may have silenced it

    log.debug("configuration: %s", {"sasl_plain_password": "hünter'2"})
    log.debug("SaslAuthenticateRequest(auth_bytes=%r)", "\0user\0hünter'2".encode())
    log.debug("to rediss://user:p%40ss%20w@host/0 with p@ss w")
    event(log, logging.INFO, "settings", password="hünter'2")

    said = capsys.readouterr().err
    assert said.count("\n") == 4
    assert said.count("**********") == 5
    assert not any(part in said for part in ("nter", "p@ss", "p%40ss"))
    assert "sasl_plain_password" in said
