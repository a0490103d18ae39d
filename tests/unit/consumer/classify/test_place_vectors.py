from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from consumer.classify.place_vectors import place_vectors
from consumer.classify.places import Place, Places
from producer.base.errors import CommandError
from tests.light import PLACES, LightEncoder

WORDINGS = ("{wording}",)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "placestream" / "places"


class Scaled(LightEncoder):
    image_logit_scale = 7.0
    text_logit_scale = 9.0


def no_model() -> NoReturn:
    raise CommandError("a model is loaded")


def test_a_model_is_loaded_once_and_never_again() -> None:
    first = place_vectors("light", PLACES, WORDINGS, Scaled)

    again = place_vectors("light", PLACES, WORDINGS, no_model)

    assert np.array_equal(again.vectors, first.vectors)
    assert np.array_equal(first.vectors, PLACES.vectors(LightEncoder(), WORDINGS))
    assert (again.image_logit_scale, again.text_logit_scale) == (7.0, 9.0)


@pytest.mark.parametrize(
    ("identity", "places", "templates"),
    [
        ("other", PLACES, WORDINGS),
        ("light", PLACES, ("a {wording}",)),
        ("light", Places("colours", tuple(Place(place.category, "blue") for place in PLACES.places)), WORDINGS),
    ],
)
def test_other_weights_places_or_prompts_have_vectors_of_their_own(
    identity: str, places: Places, templates: tuple[str, ...]
) -> None:
    place_vectors("light", PLACES, WORDINGS, LightEncoder)

    with pytest.raises(CommandError, match="a model is loaded"):
        place_vectors(identity, places, templates, no_model)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"PK\x03\x04 no file of NumPy's"])
def test_a_damaged_file_is_made_again(cache: Path, damage: bytes) -> None:
    first = place_vectors("light", PLACES, WORDINGS, LightEncoder)
    (file,) = cache.iterdir()
    file.write_bytes(damage)

    for load in (LightEncoder, no_model):
        assert np.array_equal(place_vectors("light", PLACES, WORDINGS, load).vectors, first.vectors)


@pytest.mark.parametrize("where", ["", "placestream/places"])
def test_without_a_place_for_them_they_are_computed_and_a_warning_says_it(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    (home / where).parent.mkdir(parents=True, exist_ok=True)
    (home / where).write_text("a file where a folder should be")

    assert len(place_vectors("light", PLACES, WORDINGS, LightEncoder).vectors) == 3
    assert "the places' vectors are not kept" in caplog.text
