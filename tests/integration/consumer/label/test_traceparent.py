"""W3C trace context on the wire: what a post carries, its label or dead letter carries, byte for byte."""

import json

from deploy.local.stack import Stack
from tests.conftest import RunCli, Topics
from tests.integration.consumer.label.conftest import label
from tests.labels import golden
from tests.wire import post, read_all, write

BAD = b"\xff\xd8\xff no picture"


def trace(number: int) -> bytes:
    return f"00-4bf92f3577b34da6a3ce929d0e0e4736-{number:016x}-01".encode()


def test_a_trace_goes_unchanged_from_a_post_to_its_label_or_dead_letter(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    key, value, headers = post("binary")
    written = golden("post_json")["value"] | {"post_id": "json"}
    write(
        stack,
        topics.input,
        [
            (key, value, [*headers, ("traceparent", trace(1))]),
            (b"json", json.dumps(written).encode(), [("traceparent", trace(2))]),
            (b"twice", value, [("traceparent", trace(3)), *headers, ("traceparent", trace(4))]),
            (b"odd", value, [*headers, ("traceparent", b"\xff no trace of the W3C's")]),
            (b"none", value, headers),
            (b"broken", BAD, [*headers, ("traceparent", trace(5))]),
            (b"homeless", value, [("traceparent", trace(6))]),
        ],
    )

    label(run_cli, topics)

    out = {
        topic: {
            record.key.decode(): [value for name, value in record.headers if name == "traceparent"]
            for record in read_all(stack, topic)
        }
        for topic in (topics.output, topics.dead_letter)
    }
    assert out[topics.output] == {
        "binary": [trace(1)],
        "json": [trace(2)],
        "twice": [trace(4)],
        "odd": [b"\xff no trace of the W3C's"],
        "none": [],
    }
    assert out[topics.dead_letter] == {"broken": [trace(5)], "homeless": [trace(6)]}
