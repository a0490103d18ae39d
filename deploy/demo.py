"""The demonstration behind `make demo`: a dataset through a real broker, every post accounted for, figures printed.

It runs the same commands that a person would type, against the broker and Redis that the environment names.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from consumer.kafka.read_to_end import read_whole
from producer.base.errors import CommandError
from producer.base.settings import TopicSettings, load
from producer.dataset.open import open_dataset
from producer.topics import admin_client

SHOWN = 12
"""Labelled posts that are printed."""


def main() -> int:
    """Show the whole line; returns the exit code."""
    settings = load(TopicSettings, "python -m deploy.demo", sys.argv[1:])
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="placestream-demo-") as folder:
            dataset = Path(folder) / "sample"
            type_command("producer", "sample", str(dataset))
            type_command("producer", "topics")
            type_command("producer", "replay", str(dataset))
            once = ("--stop-at-end", "--metrics-port", "0", "--log-level", "warning")
            type_command("consumer", "label", "--encoder", "conse", *once)
            type_command("consumer", "count", *once)
            labeled = _read(settings, settings.output_topic)
            dead = _read(settings, settings.dead_letter_topic)
            console.print(_table(labeled))
            _account_for([str(entry.post_id) for entry in open_dataset(dataset).entries()], [*labeled, *dead])
        type_command("consumer", "verify")
        type_command("consumer", "popularity", "--top", "5")
        print("To look at it in a browser, with posts that keep coming: make board")
    except CommandError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def type_command(*command: str) -> None:
    """Run a command as a person would type it, and show it.

    Raises:
        CommandError: it fails.
    """
    print(f"\n$ python -m {' '.join(command)}", flush=True)
    ended = subprocess.run([sys.executable, "-m", *command], check=False)
    if ended.returncode != 0:
        raise CommandError(f"`python -m {' '.join(command)}` ended with exit code {ended.returncode}")


def _read(settings: TopicSettings, topic: str) -> list[tuple[str, bytes]]:
    """Key and value of every committed record of a topic."""
    with admin_client(settings) as admin:
        records = read_whole(settings, "placestream-demo", admin, topic, f"reading {topic}")
        return [(record.key.decode(), record.value) for record in records]


def _account_for(sent: list[str], out: list[tuple[str, bytes]]) -> None:
    """Make sure that every post came out exactly once.

    Raises:
        CommandError: one is missing or came out more than once.
    """
    ids = Counter(post_id for post_id, _ in out)
    missing = sorted(set(sent) - set(ids))
    doubled = sorted(post_id for post_id, times in ids.items() if times > 1)
    if missing or doubled or len(ids) != len(sent):
        raise CommandError(f"{len(sent)} posts went in; missing: {missing[:5]}, more than once: {doubled[:5]}")
    print(f"{len(sent)} posts went in, each came out exactly once")


def _table(labeled: list[tuple[str, bytes]]) -> Table:
    """A few labelled posts, the surest first."""
    posts = [json.loads(value) for _, value in labeled]
    title = f"{SHOWN} of {len(posts)} labelled posts, the surest first"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("post_id", "city", "place", "confidence", "by", "sentiment"):
        table.add_column(name, no_wrap=True)
    for post in sorted(posts, key=lambda post: -post["confidence"])[:SHOWN]:
        sentiment = "–" if post["sentiment"] is None else f"{post['sentiment']:+.2f}"
        place = post["place"] or "not classified"
        table.add_row(post["post_id"], post["city"], place, f"{post['confidence']:.2f}", post["decided_by"], sentiment)
    return table


if __name__ == "__main__":
    sys.exit(main())
