from datetime import UTC, datetime

import pytest

from producer.dataset import instagram

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_an_id_says_when_its_post_was_made() -> None:
    assert instagram.created_at("1480879485913200243", NOW) == datetime(2017, 3, 29, 2, 30, 13, 147000, UTC)


@pytest.mark.parametrize(
    "post_id",
    [
        "1" * 16,
        "1" * 20,
        "BSdKq1ZB5Sz",
        "",
        "-480879485913200243",
        "١٤٨٠٨٧٩٤٨٥٩١٣٢٠٠٢٤٣",
        " 480879485913200243",
        "1e17",
    ],
)
def test_other_ids_say_nothing(post_id: str) -> None:
    assert instagram.created_at(post_id, NOW) is None


def id_of(moment: datetime) -> str:
    return str((int(moment.timestamp() * 1000) - instagram.EPOCH_MS) << 23)


def test_a_time_that_cannot_be_says_nothing() -> None:
    assert instagram.created_at(id_of(datetime(2012, 1, 1, tzinfo=UTC)), NOW) == datetime(2012, 1, 1, tzinfo=UTC)
    assert instagram.created_at(id_of(datetime(2011, 12, 31, tzinfo=UTC)), NOW) is None
    assert instagram.created_at(id_of(NOW), NOW) == NOW
    assert instagram.created_at(id_of(datetime(2026, 11, 25, tzinfo=UTC)), NOW) is None
    assert instagram.created_at("9" * 19, NOW) is None
