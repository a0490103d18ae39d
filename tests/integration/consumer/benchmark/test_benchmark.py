"""The benchmark measures what it says, leaves nothing behind, and asserts no time."""

import json
from pathlib import Path

from kafka import KafkaAdminClient

from tests import marks
from tests.conftest import PATIENCE, RunCli

SMALL = ("--posts", "16", "--repeats", "1")
EVERY_PART = (
    *("--parts", "model,null,vectors,age,scaling,processes", "--model", "ViT-S-32-alt", "--null-posts", "200"),
    *("--process-posts", "16", "--batch-size", "8", "--partitions", "2", "--load-seconds", "2"),
)
"""With a small model: four processes load it."""


def test_every_part_is_measured_and_no_topic_is_left(run_cli: RunCli, tmp_path: Path, admin: KafkaAdminClient) -> None:
    file, chart = tmp_path / "figures.json", tmp_path / "chart.png"

    flags = (*SMALL, *EVERY_PART, "--json", str(file), "--plot", str(chart))
    ended = run_cli("consumer", "benchmark", *flags, timeout=2 * PATIENCE)

    assert ended.returncode == 0, ended.stderr
    figures = json.loads(file.read_text())
    assert set(figures["posts_per_second"]) == {
        "authors' own",
        "bare",
        "bare, half sure",
        "pipeline",
        "pipeline, half sure",
        "consume and transact",
        "pipeline, vectors",
        "pipeline without a model",
        "pipeline without a model, vectors",
        "1 worker without a model",
        "2 workers without a model",
        "1 worker with the model",
        "2 workers with the model",
    }
    assert all(value > 0 for values in figures["posts_per_second"].values() for value in values)
    assert len(figures["ratios"]) == 9
    assert figures["captions"]["pipeline"] == {"done": 16, "skipped": 0, "no_caption": 0}
    assert figures["captions"]["pipeline, half sure"]["skipped"] == 8
    assert figures["captions"]["2 workers with the model"]["done"] > 0
    stages = figures["seconds_per_post"]["pipeline"]
    assert all(stages[stage] > 0 for stage in ("read", "decode", "image", "text", "publish"))
    assert 0 < figures["facts"]["age of a post, p50 seconds"] <= figures["facts"]["age of a post, p99 seconds"]
    assert figures["facts"]["a lone post, seconds"] > 0
    assert chart.stat().st_size > 1000
    assert [topic for topic in admin.list_topics() if "benchmark" in topic] == []


@marks.openvino
def test_another_engine_is_compared_with_torch(run_cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"

    other = ("--parts", "model", "--encoder", "conse", "--engine", "openvino")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = run_cli("consumer", "benchmark", *SMALL, *other, "--json", str(file), env=cache)

    assert ended.returncode == 0, ended.stderr
    figures = json.loads(file.read_text())
    assert figures["machine"]["gpu"] == "none"
    assert figures["posts_per_second"]["pipeline, torch fp32"][0] > 0
    assert ["pipeline", "pipeline, torch fp32", 2.0] in [
        [ratio["of"], ratio["to"], ratio["goal"]] for ratio in figures["ratios"]
    ]
    assert figures["facts"]["worst cosine to torch fp32, pictures"] > 0.9999
    assert figures["facts"]["labels equal to torch fp32's, share"] == 1.0


def test_without_a_broker_it_is_one_line(run_cli: RunCli) -> None:
    ended = run_cli(
        "consumer", "benchmark", "--parts", "null", "--bootstrap-servers", "127.0.0.1:9", "--startup-timeout", "1"
    )

    assert ended.returncode == 1
    assert "no Kafka broker answers at 127.0.0.1:9" in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_processes_that_cannot_load_their_model_are_one_line(run_cli: RunCli) -> None:
    ended = run_cli("consumer", "benchmark", *SMALL, "--parts", "processes", "--pretrained", "nowhere")

    assert ended.returncode == 1
    assert "PRETRAINED nowhere: neither a file nor a tag" in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr
