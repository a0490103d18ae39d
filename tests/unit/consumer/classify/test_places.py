from pathlib import Path

import numpy as np
import pytest

from consumer.classify.places import TEMPLATES, Place, Places
from producer.base.errors import CommandError
from tests.light import LightEncoder


def test_places205_is_complete() -> None:
    places = Places.load()
    assert places.name == "places205"
    assert (
        len(places.categories) == len(set(places.categories)) == len({place.wording for place in places.places}) == 205
    )
    assert (places.categories[0], places.categories[13], places.categories[-1]) == (
        "abbey",
        "apartment_building/outdoor",
        "yard",
    )
    by_category = {place.category: place for place in places.places}
    assert by_category["temple/east_asia"].wording == "an East Asian temple"
    assert by_category["apartment_building/outdoor"].wording == "an outdoor apartment building"
    assert by_category["bar"].indoor is True
    assert by_category["sky"].indoor is False
    assert sum(place.indoor is True for place in places.places) == 69
    for place in places.places:
        assert place.description
        assert place.level1 in ("indoor", "outdoor man-made", "outdoor natural")
        assert place.indoor == (place.level1 == "indoor")
        assert place.level2
        assert not place.wording.startswith(("a a", "a e", "a i", "a o"))


def test_synonyms_are_symmetrical() -> None:
    clusters = {place.category: place.synonyms for place in Places.load().places}
    assert clusters["bridge"] == ("aqueduct", "bridge", "rope_bridge", "viaduct")
    for category, cluster in clusters.items():
        assert not cluster or (category in cluster and len(cluster) > 1)
        assert all(clusters[member] == cluster for member in cluster)


def test_the_templates_fill_in() -> None:
    garden = Place("botanical_garden", "a botanical garden", "greenhouse, flowers")
    assert garden.prompts(TEMPLATES["talk"]) == ["A photo of a botanical garden"]
    assert garden.prompts(TEMPLATES["sun397"]) == ["a photo of a botanical garden.", "a photo of the botanical garden."]
    assert len(garden.prompts(TEMPLATES["described"])) == 4
    assert Place("temple/east_asia", "x").prompts(("{name}",)) == ["temple east asia"]


def test_a_place_without_description_goes_without_the_prompts_that_need_one() -> None:
    assert Place("bar", "a bar").prompts(TEMPLATES["described"]) == ["a bar", "a photo of a bar"]
    assert Place("bar", "a bar").prompts(("{description}",)) == ["a bar"]


def test_vectors_are_unit_means_of_the_prompts(light: LightEncoder) -> None:
    places = Places("two", (Place("warm", "red", "green"), Place("cold", "blue")))
    vectors = places.vectors(light, ("{wording}", "{description}"))
    assert vectors.shape == (2, 3)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(vectors[0], [0.5**0.5, 0.5**0.5, 0], atol=2e-3)
    assert np.allclose(vectors[1], [0, 0, 1], atol=2e-3)


def test_places_of_one_wording_have_one_vector_however_their_row_is_rounded(light: LightEncoder) -> None:
    encode = light.encode_prompts
    noise = np.linspace(0, 1e-6, 9, dtype=np.float32)[:, None]
    light.encode_prompts = lambda prompts: encode(prompts) + noise[: len(prompts)]  # type: ignore[method-assign]
    places = Places("set", (Place("one", "red", "blue"), Place("other", "green"), Place("again", "red", "blue")))
    vectors = places.vectors(light, ("{wording}", "{wording}, {description}"))
    assert vectors[0].tolist() == vectors[2].tolist() != vectors[1].tolist()


def test_the_stamp_changes_only_with_what_changes_the_vectors() -> None:
    talk, described = TEMPLATES["talk"], TEMPLATES["described"]
    here = Places("set", (Place("bar", "a bar", "beer"),))
    assert here.stamp(talk) == Places("set", (Place("bar", "a bar", "wine", True, "indoor"),)).stamp(talk)
    assert here.stamp(described) != Places("set", (Place("bar", "a bar", "wine"),)).stamp(described)
    assert here.stamp(talk) != here.stamp(described)
    assert here.stamp(talk) != Places("set", (Place("bar", "the bar", "beer"),)).stamp(talk)
    name, _, digest = here.stamp(talk).partition("@")
    assert (name, len(digest)) == ("set", 8)


def test_any_csv_with_category_and_wording_will_do(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text('\ufeffwording,category,colour\n"a bar, late",bar,red\nthe sky,sky\n', encoding="utf-8")
    places = Places.load(path)
    assert places.name == "mine"
    assert places.categories == ("bar", "sky")
    assert [(place.wording, place.description) for place in places.places] == [("a bar, late", ""), ("the sky", "")]
    assert places.places[0].indoor is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no column category and no column wording"),
        ("category,word\nbar,a bar\n", "line 1: no column wording"),
        ("category,wording\n", "no places in it"),
        ("category,wording\nbar,a bar\nsky,\n", "line 3: wording is blank"),
        ("category,wording\n ,a bar\n", "line 2: category is blank"),
        ("category,wording\nbar\n", "line 2: wording is blank"),
        ("category,wording\nbar,a bar\nsky,the sky\nbar,a bar\n", "line 4: category 'bar' is there twice"),
        ("category,wording\na|b,x\n", "line 2: category 'a|b' may not"),
        ("category,wording\na:sq,x\n", "line 2: category 'a:sq' may not"),
        ("category,wording\n_not_classified,x\n", "line 2: category '_not_classified' may not"),
        ("category,wording,indoor\nbar,a bar,maybe\n", "line 2: indoor is 'maybe'"),
        ('category,wording,level2\nbar,a bar,"food\nand drink"\n', "line 3: level2 'food\\nand drink' must be"),
        ("category,wording,level1\nbar,a bar,_other\n", "line 2: level1 '_other' must be printable, and may not"),
    ],
)
def test_a_bad_label_set_is_one_line_with_its_number(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CommandError) as caught:
        Places.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_set_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"category,wording\ncaf\xe9,x\n")
    for name in ("missing.csv", ".", "latin.csv"):
        with pytest.raises(CommandError, match="cannot be read"):
            Places.load(tmp_path / name)
