"""Pictures that are cheap to send and dear to decode: the culprit is a dead letter, its neighbours are labelled."""

import random

from consumer.dead_letter import REASON
from deploy.local.stack import Stack
from producer.post import Post
from tests import attacks
from tests.conftest import RunCli, Topics
from tests.integration.consumer.label.conftest import label
from tests.wire import picture, post, read_all, write

SLOW = attacks.jpeg_of_many_scans(90, 7_000)
"""It takes seconds on any machine, and passes all that is counted before."""

ATTACKS = {
    "tall": (attacks.tall_png(50_000_000), "image_too_large"),
    "scans": (attacks.jpeg_of_many_scans(70_000, 7_000), "image_too_large"),
    "segments": (attacks.jpeg_of_many_segments(860_000), "image_too_large"),
    "chunks": (attacks.png_of_many_chunks(60_000), "image_too_large"),
    "blocks": (attacks.gif_of_a_long_comment(60_000), "image_too_large"),
    "tags": (attacks.tiff_of_many_tags(60_000), "image_too_large"),
    "slow": (SLOW, "decode_failed"),
}


def test_pictures_that_are_dear_to_decode_die_and_their_neighbours_are_labelled(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    bad = [Post(name, "london", data).to_record() for name, (data, _) in ATTACKS.items()]
    good = [post(f"{number}") for number in range(len(bad))]
    for records in zip(bad, good, strict=True):
        write(stack, topics.input, records)

    written = label(run_cli, topics, "--decode-timeout", "0.3")

    dead = {
        record.key.decode(): dict(record.headers)[REASON].decode() for record in read_all(stack, topics.dead_letter)
    }
    assert dead == {name: reason for name, (_, reason) in ATTACKS.items()}
    assert sorted(record.key for record in read_all(stack, topics.output)) == sorted(key for key, _, _ in good)
    assert written.count("\n") < 5 * len(ATTACKS), written


def test_what_is_damaged_at_random_is_labelled_or_dies_and_ends_no_worker(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    chance = random.Random(205)
    whole = [picture(kind=kind, size=64) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP", "PPM")]
    damaged = []
    for number in range(400):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 3, 20))):
            # near the beginning more often: that is where the structure is
            data[min(int(chance.expovariate(8 / len(data))), len(data) - 1)] = chance.randrange(256)
        damaged.append(Post(str(number), "london", bytes(data)).to_record())
    write(stack, topics.input, damaged)

    label(run_cli, topics)

    came_out = [record.key for topic in (topics.output, topics.dead_letter) for record in read_all(stack, topic)]
    assert sorted(came_out) == sorted(key for key, _, _ in damaged)
    reasons = {dict(record.headers)[REASON].decode() for record in read_all(stack, topics.dead_letter)}
    assert reasons <= {"not_an_image", "truncated_image", "image_too_large"}
