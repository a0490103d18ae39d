"""The main job on real pictures: dataset -> Kafka -> labels -> Redis, with the offline encoder, commands as typed."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis

from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from producer.dataset.entry import Entry
from producer.dataset.open import open_dataset
from producer.sample import write_sample
from tests.conftest import RunCli, StartCli, Topics, wait_until
from tests.wire import read_all


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "sample"
    write_sample(folder, None)
    return folder


def series(exposition: str) -> dict[str, float]:
    """Name with labels -> value, of Prometheus' text format."""
    lines = (line.rpartition(" ") for line in exposition.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def fetch(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


OUTCOMES = ("done", "skipped", "no_caption")


def test_a_dataset_comes_out_labelled_and_counted_each_post_exactly_once(
    stack: Stack,
    topics: Topics,
    run_cli: RunCli,
    start_cli: StartCli,
    sample: Path,
    counter_prefix: str,
    redis_client: redis.Redis,
) -> None:
    env = topics.environment | {"PLACESTREAM_COUNTER_PREFIX": counter_prefix}
    read = [entry.read(2**24) for entry in open_dataset(sample).entries() if isinstance(entry, Entry)]
    sent = sorted(post.post_id for post in read)
    captioned = {post.post_id for post in read if post.caption is not None}
    assert run_cli("producer", "replay", str(sample), env=env).returncode == 0

    worker = start_cli("consumer", "label", "--encoder", "conse", "--metrics-port", "0", "--gate", "0.6", env=env)
    worker.wait_for_output("metrics address=")
    address = re.search(r"http://([^/]+)/metrics", worker.output)
    assert address is not None
    worker.wait_for_output("joined")

    def all_committed() -> bool:
        found = series(fetch(address[1], "/metrics")[1])
        return sum(v for name, v in found.items() if name.startswith("placestream_posts_total")) >= len(sent)

    wait_until(all_committed, what="every post committed")
    exposed = series(fetch(address[1], "/metrics")[1])
    health = [fetch(address[1], path)[0] for path in ("/healthz", "/readyz", "/nonsense")]
    assert worker.end() == 0, worker.output

    labelled = read_all(stack, topics.output)
    assert sorted(record.key.decode() for record in labelled) == sent
    assert read_all(stack, topics.dead_letter) == []
    source = {record.key: record.partition for record in read_all(stack, topics.input)}
    assert all(record.partition == source[record.key] for record in labelled)
    posts = [LabeledPost.model_validate_json(record.value) for record in labelled]

    assert health == [200, 200, 404]
    texts = {outcome: exposed[f'placestream_text_encodings_total{{outcome="{outcome}"}}'] for outcome in OUTCOMES}
    assert texts["done"] == sum(post.text is not None for post in posts)
    skipped = [post for post in posts if post.post_id in captioned and post.text is None]
    assert texts["skipped"] == len(skipped) > 20
    assert sum(texts.values()) == len(sent)
    assert exposed["placestream_end_to_end_seconds_count"] == len(sent)
    for post in posts:
        assert (post.place is None) == (post.confidence < post.decision.threshold)
        assert post.decided_by == ("image" if post.text is None else "ensemble")
        assert post.image.confidence <= 0.6 or post.text is None

    again = run_cli("consumer", "label", "--encoder", "conse", "--stop-at-end", "--metrics-port", "0", env=env)
    assert again.returncode == 0, again.stderr
    assert "leaked" not in again.stderr  # what libraries in C++ print at the end if Python lets nothing go
    assert len(read_all(stack, topics.output)) == len(sent)

    assert run_cli("consumer", "count", "--stop-at-end", "--metrics-port", "0", env=env).returncode == 0
    in_redis = {
        city: {place: int(n) for place, n in redis_client.hgetall(f"{counter_prefix}:posts:{city}").items()}
        for city in {post.city for post in posts}
    }
    recounted: dict[str, dict[str, int]] = {}
    for post in posts:
        places = recounted.setdefault(post.city, {})
        places[post.place or "_not_classified"] = places.get(post.place or "_not_classified", 0) + 1
    assert in_redis == recounted
    assert run_cli("consumer", "verify", env=env).returncode == 0
    printed = run_cli("consumer", "popularity", "--json", env=env)
    assert {city["city"]: city["posts"] for city in json.loads(printed.stdout)} == {
        city: sum(places.values()) for city, places in recounted.items()
    }
