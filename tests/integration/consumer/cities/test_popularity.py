"""The popularity page from a real broker and a real Redis: both sources give the same figures."""

import csv
from pathlib import Path

from deploy.local.stack import Stack
from tests.conftest import RunCli, Topics
from tests.integration.consumer.count.conftest import records, some_posts
from tests.wire import write


def test_the_topic_and_the_counters_give_the_same_figures_and_dates(
    stack: Stack, topics: Topics, counter_prefix: str, run_cli: RunCli, tmp_path: Path
) -> None:
    write(stack, topics.output, records(some_posts(240)))
    env = topics.environment | {"PLACESTREAM_COUNTER_PREFIX": counter_prefix, "PLACESTREAM_METRICS_PORT": "0"}
    counted = run_cli("consumer", "count", "--stop-at-end", env=env)
    assert counted.returncode == 0, counted.stderr
    pages = {}
    for source, flags in (("redis", ()), ("topic", ("--from-topic",))):
        pages[source] = tmp_path / source / "page.html"
        done = run_cli(
            "consumer", "evaluate", "popularity", "-o", str(pages[source]), "--heat-maps", "0", *flags, env=env
        )
        assert done.returncode == 0, done.stderr
        assert "4 cities, 240 posts" in done.stdout
    for name in ("places.csv", "cities.csv", "hours.csv", "distances.csv"):
        redis, topic = ((page.with_suffix("") / name).read_text("utf-8") for page in pages.values())
        assert redis == topic
        assert len(redis.splitlines()) > 3
    rows = csv.DictReader((pages["redis"].with_suffix("") / "cities.csv").read_text("utf-8-sig").splitlines())
    days = {row["city"]: (row["first_day"], row["last_day"]) for row in rows}
    assert days["london"] == ("2017-03-03", "2017-03-27")
    assert days["são paulo"] == ("", ""), "its time zone is not known"
    for page in pages.values():
        assert "48 of them have a known local time: from 2017-03-03 to 2017-03-27." in page.read_text("utf-8")


def test_nothing_counted_and_no_topic_are_one_line(
    topics: Topics, counter_prefix: str, run_cli: RunCli, tmp_path: Path
) -> None:
    env = topics.environment | {"PLACESTREAM_COUNTER_PREFIX": counter_prefix}
    for flags, message in (
        ((), "nothing is counted under"),
        (("--from-topic",), f"no labelled post in {topics.output}"),
        (("--from-topic", "--output-topic", "nowhere"), "topic nowhere does not exist"),
    ):
        done = run_cli("consumer", "evaluate", "popularity", "-o", str(tmp_path / "page.html"), *flags, env=env)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
