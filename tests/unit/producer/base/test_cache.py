from pathlib import Path

import pytest

from producer.base.cache import cache_folder
from producer.base.errors import CommandError


def test_without_a_home_or_a_place_in_it_one_line_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", None):  # None: nobody has this number, as in a container
        monkeypatch.setattr(Path, "home", lambda home=home: home or Path("~nobody-of-this-name").expanduser())
        with pytest.raises(CommandError, match="^no place for a cache: .*; set XDG_CACHE_HOME") as caught:
            cache_folder("openvino")
        assert "\n" not in str(caught.value)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("openvino") == tmp_path / "placestream/openvino"
