import pytest

from consumer.evaluate import command
from producer.errors import CommandError


def test_every_sub_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    for name in command.COMMANDS:
        with pytest.raises(SystemExit) as ended:
            command.main([name, "--help"])
        assert ended.value.code == 0
        assert f"evaluate {name}" in capsys.readouterr().out


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda package: None if package in ("pandas", "jinja2") else object())
    with pytest.raises(CommandError, match=r"^evaluate needs the packages jinja2, pandas: pip install .*evaluate\]'$"):
        command.main(["score"])
