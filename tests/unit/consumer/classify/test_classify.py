import json
from pathlib import Path

import pytest

from consumer.classify import classify as command
from consumer.classify import factory
from consumer.classify.classify import main
from producer.base.errors import UsageError
from tests.light import LightEncoder
from tests.unit.consumer.classify.photos import plain


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with pictures and a label set of colours; the encoder sees nothing but colours."""
    monkeypatch.setattr(factory, "_encoder", lambda settings, device: LightEncoder())
    monkeypatch.chdir(tmp_path)
    for colour in ("red", "grey", "blue"):
        (tmp_path / f"{colour}.png").write_bytes(plain(colour))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "colours.csv").write_text(
        "category,wording,synonyms\nred,red,\ngreen,green,green|blue\nblue,blue,green|blue\n"
    )
    return tmp_path


def test_a_table_shows_each_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["red.png", "grey.png", "--places", "colours.csv", "--caption", "so blue"]) == 0
    shown = capsys.readouterr()
    for expected in ("red.png", "1.00 red", "decided by image", "grey.png", "by caption", "0.67 blue", "colours@"):
        assert expected in shown.out
    assert shown.err == ""


def test_json_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["red.png", "grey.png", "--places", "colours.csv", "--json", "--top", "2"]) == 0
    red, grey = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (red["picture"], red["place"], red["decided_by"], red["text"]) == ("red.png", "red", "image", None)
    assert [place for place, _ in red["top"]] == ["red", "green"]
    assert grey["place"] is None
    assert grey["confidence"] == pytest.approx(1 / 3, abs=1e-3)
    assert grey["broader"] == {"level": "synonyms", "name": "green|blue", "confidence": pytest.approx(2 / 3, abs=1e-3)}


def test_a_bad_picture_is_one_line_and_the_others_still_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BATCH", 1)
    names = ["red.png", "notes.txt", "missing.png", ".", "blue.png"]
    assert main([*names, "--places", "colours.csv", "--json"]) == 1
    shown = capsys.readouterr()
    assert [json.loads(line)["place"] for line in shown.out.splitlines()] == ["red", "blue"]
    errors = shown.err.splitlines()
    assert len(errors) == 3
    assert "notes.txt: not_an_image: " in errors[0]
    assert "missing.png: No such file" in errors[1]


def test_a_picture_beyond_the_limit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["red.png", "--places", "colours.csv", "--max-image-bytes", "10"]) == 1
    assert "red.png: image_too_large" in capsys.readouterr().err


def test_top_must_be_positive() -> None:
    with pytest.raises(UsageError, match="setting TOP"):
        main(["red.png", "--top", "0"])
