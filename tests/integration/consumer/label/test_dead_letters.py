"""What no one can label becomes a dead letter with the right reason, and its neighbours are labelled all the same."""

import base64
import io
import json
import os
import struct
from typing import Any

import pytest
from PIL import Image

from consumer.dead_letter import PREFIX, REASON
from deploy.local.stack import Stack
from tests.conftest import RunCli, Topics
from tests.faults.failing import HUGE, SMALL
from tests.integration.consumer.label.conftest import ONCE, label
from tests.wire import picture, post, read_all, write, write_raw

CITY = [("city", b"london")]
JPEG = picture("red", kind="JPEG", size=64)


def gif_bomb() -> bytes:
    """A few bytes that claim 60,000 x 60,000 pixels."""
    return b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + picture(kind="GIF")[13:]


def json_post(**changed: Any) -> bytes:
    fields = {"post_id": "json", "city": "london", "image": base64.b64encode(JPEG).decode()} | changed
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


BAD: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, Any]], str]] = {
    "empty value": (b"bad-1", b"", CITY, "bad_record"),
    "null value": (b"bad-2", None, CITY, "bad_record"),
    "null key and value": (None, None, CITY, "bad_record"),
    "null header": (b"bad-4", JPEG, [*CITY, ("caption", None)], "bad_record"),
    "random bytes": (b"bad-5", os.urandom(20), CITY, "not_an_image"),
    "truncated": (b"bad-6", JPEG[: len(JPEG) // 2], CITY, "truncated_image"),
    "text file": (b"bad-7", b"Dear diary,\ntoday I saw a bridge.\n", CITY, "not_an_image"),
    "gif bomb": (b"bad-8", gif_bomb(), CITY, "image_too_large"),
    "too many bytes": (b"bad-9", JPEG + b"\0" * 600_000, CITY, "image_too_large"),
    "json without post_id": (None, json_post(post_id=None), [], "bad_record"),
    "json with broken base64": (b"json", json_post(image="not base64!"), [], "bad_record"),
    "no key": (None, JPEG, CITY, "bad_record"),
    "no city": (b"bad-13", JPEG, [], "bad_record"),
}


def rotated() -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def sixteen_bit() -> bytes:
    buffer = io.BytesIO()
    Image.new("I;16", (8, 8), 40_000).save(buffer, "PNG")
    return buffer.getvalue()


def animated() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


GOOD: dict[str, tuple[bytes, bytes | None]] = {
    "greyscale": (picture(120, "L", "JPEG"), None),
    "cmyk": (picture((0, 255, 255, 0), "CMYK", "JPEG"), None),
    "palette": (picture(0, "P"), None),
    "alpha": (picture((255, 0, 0, 128), "RGBA"), None),
    "16-bit": (sixteen_bit(), None),
    "webp": (picture(kind="WEBP"), None),
    "rotated": (rotated(), None),
    "1x1": (picture(size=1), None),
    "animated": (animated(), None),
    "emoji": (JPEG, "🌉🌁✨".encode()),
    "right-to-left": (JPEG, "جسر جميل في المدينة".encode()),
    "nul bytes": (JPEG, b"a\0caption\0"),
    "caption of 1 MB": (JPEG, b"a long red story " * 62_000),
}


def test_bad_records_die_with_their_reason_and_good_neighbours_are_labelled(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    good = [(name.encode(), value, [*CITY, *([("caption", c)] if c else [])]) for name, (value, c) in GOOD.items()]
    for (key, value, headers, _), neighbour in zip(BAD.values(), good, strict=True):
        write_raw(stack, topics.input, key, value, headers)
        write(stack, topics.input, [neighbour])

    label(run_cli, topics, "--max-image-bytes", "500000")

    labelled = [record.key.decode() for record in read_all(stack, topics.output)]
    assert sorted(labelled) == sorted(GOOD)
    written = {record.offset: record for record in read_all(stack, topics.input) if record.partition == 0}
    dead = read_all(stack, topics.dead_letter)
    assert len(dead) == len(BAD)
    for record, (name, (key, value, headers, reason)) in zip(
        sorted(dead, key=lambda r: int(dict(r.headers)[f"{PREFIX}offset"])), BAD.items(), strict=True
    ):
        said = dict(record.headers)
        assert said[REASON].decode() == reason, (name, said)
        assert said[f"{PREFIX}topic"].decode() == topics.input
        original = written[int(said[f"{PREFIX}offset"])]
        assert original.partition == record.partition == int(said[f"{PREFIX}partition"])
        assert record.key == original.key == key, name
        # The two documented exceptions to byte for byte: what kafka-python cannot send.
        assert record.value == (b"" if key is None and value is None else value), name
        assert record.headers[: len(headers)] == [(n, b"" if v is None else v) for n, v in headers], name
        assert said[f"{PREFIX}exception.message"], name


@pytest.mark.parametrize(("value", "reason"), [(HUGE, "encode_failed"), (b"no picture", "not_an_image")])
def test_a_worker_stops_at_the_breaker_unless_the_fault_is_the_sender_s(
    value: bytes, reason: str, stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    write(stack, topics.input, [(str(number).encode(), value, CITY) for number in range(60)])

    flags = (*ONCE, "--batch-size", "8", "--breaker-consecutive", "20")
    ended = run_cli("tests.faults.failing", *flags, env=topics.environment | {"FAULTS_ENCODER": SMALL})

    is_ours = reason == "encode_failed"
    dead = [dict(record.headers)[REASON].decode() for record in read_all(stack, topics.dead_letter)]
    assert dead == [reason] * (16 if is_ours else 60)  # two batches before the one that is judged too much
    assert ended.returncode == int(is_ours), ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert ("20 posts in a row failed for what may be our fault" in last) == is_ours
    assert ("of 20 encode_failed (" in last) == is_ours
    assert "Traceback" not in ended.stderr


def test_what_serialisers_write_is_labelled_under_its_id_and_250_of_what_is_not_read_end_no_worker(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    framed, avro = b"\0\0\0\0\7" + json_post(), b"\0\0\0\0\7\x08json\x0clondon"
    connect = json.dumps({"schema": {"type": "struct"}, "payload": json.loads(json_post())}).encode()
    read = [
        (b'"json"', framed, []),
        (
            None,
            json.dumps(json.loads(json_post()), indent=1).encode("utf-16"),
            [("contentType", b'"application/json"')],
        ),
        (b"json", connect, [("content-type", b"application/octet-stream")]),
        (b"json", JPEG, [("City", b'"london"'), ("Created_At", b"1490754613")]),
    ]
    write(stack, topics.input, [*read, *[(b"avro", avro, [])] * 250])

    written = label(run_cli, topics)

    labels = [(record.key, json.loads(record.value)["city"]) for record in read_all(stack, topics.output)]
    assert labels == [(b"json", "london")] * len(read)
    assert len(read_all(stack, topics.dead_letter)) == 250
    (line,) = (line for line in written.splitlines() if "dead letters in all" in line)
    assert "posts=250" in line
    assert "of the Confluent serialiser, and its content is no JSON (Avro or Protobuf?); write JSON Schema" in line


def test_a_post_whose_label_does_not_fit_its_topic_is_a_dead_letter(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    giant, _, headers = post("x" * 1_200_000)
    write(stack, topics.input, [(giant, picture(), headers), post("small")])

    label(run_cli, topics)

    assert [record.key for record in read_all(stack, topics.output)] == [b"small"]
    (dead,) = read_all(stack, topics.dead_letter)
    assert dict(dead.headers)[REASON] == b"output_too_large"
    assert dict(dead.headers)[f"{PREFIX}stage"] == b"publish"
