"""OpenVINO computes a worker's labels: it stops when told to, and the next worker goes on where it stopped."""

from pathlib import Path

from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from tests import marks
from tests.conftest import StartCli, Topics, wait_until
from tests.wire import post, read_all, write

POSTS = 500
FLAGS = ("--model", "ViT-S-32-alt", "--pretrained", "random", "--engine", "openvino", "--precision", "bf16")


@marks.openvino
def test_a_worker_stops_in_the_middle_and_the_next_one_labels_the_rest(
    stack: Stack, topics: Topics, start_cli: StartCli, tmp_path: Path
) -> None:
    env = topics.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    write(stack, topics.input, [post(str(number), caption=f"bridge {number}") for number in range(POSTS)])

    first = start_cli("consumer", "label", *FLAGS, "--batch-size", "4", "--metrics-port", "0", env=env)
    wait_until(lambda: first.output.count("published") > 5 or first.process.poll() is not None, what="a few batches")
    assert first.end() == 0, first.output
    in_the_middle = len(read_all(stack, topics.output))
    second = start_cli("consumer", "label", *FLAGS, "--stop-at-end", "--metrics-port", "0", env=env)

    assert second.wait() == 0, second.output
    assert 0 < in_the_middle < POSTS
    assert ["converting" in worker.output for worker in (first, second)] == [True, False]
    labels = [LabeledPost.model_validate_json(record.value) for record in read_all(stack, topics.output)]
    assert sorted(int(label.post_id) for label in labels) == list(range(POSTS))
    assert {label.encoder for label in labels} == {"open_clip/ViT-S-32-alt/random+openvino-bf16+icc"}
