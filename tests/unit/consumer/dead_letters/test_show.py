import struct

import pytest

from consumer.dead_letters.show import kind_of
from tests import attacks
from tests.wire import picture

BOMB = b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + picture(kind="GIF")[13:]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (picture(kind="JPEG", size=20), "JPEG, 20 x 20 pixels"),
        (BOMB, "more pixels than Pillow opens"),
        (b'{"post_id": "a"}', "16 bytes, JSON or text"),
        (b"Dear diary", "10 bytes, no picture"),
        (b"", "0 bytes"),
        (None, "null"),
    ],
)
def test_a_value_is_named_by_its_first_bytes(value: bytes | None, kind: str) -> None:
    assert kind in kind_of(value)


def test_a_picture_of_too_many_parts_is_not_opened() -> None:
    assert kind_of(attacks.jpeg_of_many_segments(2_000)).endswith("a picture of more than 1,000 segments of a JPEG")
