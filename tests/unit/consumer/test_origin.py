import pytest

from consumer.origin import Origin


@pytest.mark.parametrize("group_id", ["placestream", "a/group", "a/b/0/1"])
def test_an_origin_is_read_as_it_was_written(group_id: str) -> None:
    origin = Origin(group_id, "posts", 3, 4711)

    assert str(origin) == f"/placestream/{group_id}/posts/3/4711"
    assert (origin.group, origin.coordinates) == (f"/placestream/{group_id}", "posts/3/4711")
    assert Origin.parse(str(origin)) == origin


@pytest.mark.parametrize("place", ["posts/3/-1", "posts/x/1", "posts/3/²", "3/4711", f"posts/3/{10**20}"])
@pytest.mark.parametrize("group", ["", "/placestream/g/"])
def test_what_is_no_origin_is_none(group: str, place: str) -> None:
    assert Origin.parse(group + place) is None


def test_another_programs_origin_is_none() -> None:
    assert Origin.parse("/p/g/posts/3/4711") is None
