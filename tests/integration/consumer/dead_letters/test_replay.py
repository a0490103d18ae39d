"""Dead letters come back exactly once, whatever is killed, chosen or run twice; and what then becomes of them."""

import signal
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from consumer.dead_letter import ATTEMPTS, PREFIX, REASON
from deploy.local.stack import Stack
from producer.topics import describe
from tests.conftest import Background, RunCli, StartCli, Topics, wait_until
from tests.integration.consumer.dead_letters.letters import dead_letter, names, replay
from tests.wire import post, read_all, write

LETTERS = [f"letter-{number}" for number in range(40)]
Hold = Callable[..., tuple[Background, Path]]


@pytest.fixture
def hold(topics: Topics, start_cli: StartCli, tmp_path: Path) -> Hold:
    """Begins a replay in transactions of ten and holds it at the n-th call of a step, until the file is there."""

    def begin(step: str, number: int, *flags: str) -> tuple[Background, Path]:
        release, env = (
            tmp_path / "release",
            topics.environment | {"HOLD_SETS": "consumer.dead_letters.replay:RECORDS=10"},
        )
        where = (f"kafka:KafkaProducer.{step}", str(number), str(release))
        held = start_cli("tests.integration.hold", *where, "consumer", "dead-letters", "replay", *flags, env=env)
        held.wait_for_output("held")
        return held, release

    return begin


@pytest.fixture
def letters(stack: Stack, topics: Topics) -> None:
    """All of `LETTERS` wait."""
    write(stack, topics.dead_letter, [dead_letter(name, topics.input) for name in LETTERS])


def test_a_replay_that_is_killed_again_and_again_neither_loses_nor_doubles(
    stack: Stack, topics: Topics, run_cli: RunCli, hold: Hold
) -> None:
    chosen = [f"chosen-{number}" for number in range(60)]
    others = [f"other-{number}" for number in range(60)]
    # Two of each in turn: both partitions have both, so that what is replayed is no prefix of any.
    letters = [
        dead_letter(name, topics.input, reason, partition=number % 2)
        for number, pair in enumerate(zip(chosen, others, strict=True))
        for name, reason in zip(pair, ("truncated_image", "not_an_image"), strict=True)
    ]
    write(stack, topics.dead_letter, letters[::4] + letters[1::4] + letters[2::4] + letters[3::4])
    flags = ("--reason", "truncated_image")

    # 10 go back and 10 are sent but not committed; 10 go back and 3 are sent; 10 go back, and no one is told.
    for step, number, committed, aborted in (
        ("commit_transaction", 2, 10, 10),
        ("send", 27, 20, 13),
        ("after_commit_transaction", 1, 30, 13),
    ):
        held, _ = hold(step, number, *flags)

        def in_the_log(expected: int = committed + aborted) -> bool:
            return len(read_all(stack, topics.input, "read_uncommitted")) == expected

        wait_until(in_the_log, what="what the transaction has sent so far")
        assert len(read_all(stack, topics.input)) == committed
        assert held.end(signal.SIGKILL) == -signal.SIGKILL

    assert "replayed 30 dead letters" in replay(run_cli, topics, *flags)
    back = read_all(stack, topics.input)
    assert Counter(names(back)) == Counter(chosen)
    assert len(read_all(stack, topics.input, "read_uncommitted")) == 60 + 13  # the aborted ones were really there

    # What was passed over is still to be had, and nothing else.
    assert "replayed 60 dead letters" in replay(run_cli, topics)
    assert Counter(names(read_all(stack, topics.input))) == Counter(chosen + others)
    assert "replayed 0 dead letters" in replay(run_cli, topics)


def assert_back_once(stack: Stack, topics: Topics) -> None:
    assert Counter(names(read_all(stack, topics.input))) == Counter(LETTERS)


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(("step", "number"), [("begin_transaction", 2), ("commit_transaction", 2)])
def test_of_two_replays_the_later_takes_over_and_nothing_is_doubled(
    stack: Stack, topics: Topics, run_cli: RunCli, hold: Hold, step: str, number: int
) -> None:
    first, release = hold(step, number)

    assert "replayed 30 dead letters" in replay(run_cli, topics)
    release.touch()

    assert first.wait() == 1
    assert "another replay of" in first.output
    assert "replayed 10 dead letters" in first.output
    assert "Traceback" not in first.output
    assert_back_once(stack, topics)


@pytest.mark.usefixtures("letters")
def test_a_replay_that_is_overtaken_before_it_fences_others_replays_nothing_again(
    stack: Stack, topics: Topics, run_cli: RunCli, hold: Hold
) -> None:
    overtaken, release = hold("init_transactions", 1)

    assert "replayed 40 dead letters" in replay(run_cli, topics)
    release.touch()

    assert overtaken.wait() == 0, overtaken.output
    assert "replayed 0 dead letters" in overtaken.output
    assert_back_once(stack, topics)


@pytest.mark.usefixtures("letters")
def test_a_replay_that_is_stopped_ends_its_transaction_and_leaves_the_rest(
    stack: Stack, topics: Topics, run_cli: RunCli, hold: Hold
) -> None:
    stopped, release = hold("commit_transaction", 2)

    stopped.process.send_signal(signal.SIGTERM)
    release.touch()

    assert stopped.wait() == 1
    assert "replayed 20 dead letters" in stopped.output
    assert stopped.output.endswith("stopped; run it again for what is left\n")
    assert "replayed 20 dead letters" in replay(run_cli, topics)
    assert_back_once(stack, topics)


def test_a_replayed_post_is_labelled_or_comes_again_with_one_attempt_more(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    key, value, headers = post("too large")
    write(stack, topics.input, [(b"broken", b"no picture", headers), (key, value, headers)])
    label = ("--stop-at-end", "--metrics-port", "0")
    assert run_cli("tests.light", *label, "--max-image-bytes", "50", env=topics.environment).returncode == 0

    assert "image_too_large 1, not_an_image 1" in replay(run_cli, topics)

    sent, returned = read_all(stack, topics.input)[::2], read_all(stack, topics.input)[1::2]
    for original, again in zip(sent, returned, strict=True):
        assert (again.key, again.value, again.partition) == (original.key, original.value, original.partition)
        assert again.headers[: len(original.headers)] == original.headers
        assert dict(again.headers)[ATTEMPTS] == b"1"
        assert dict(again.headers)[f"{PREFIX}offset"] == str(original.offset).encode()
        assert again.timestamp >= original.timestamp  # when it entered Kafka again, by the broker's clock
    assert run_cli("tests.light", *label, env=topics.environment).returncode == 0
    (labelled,) = read_all(stack, topics.output)
    assert labelled.key == b"too large"
    assert not [name for name, _ in labelled.headers if name.startswith(PREFIX) or name in (ATTEMPTS, REASON)]
    *_, again = [record for record in read_all(stack, topics.dead_letter) if record.key == b"broken"]
    assert dict(again.headers)[ATTEMPTS] == b"2"
    assert dict(again.headers)[f"{PREFIX}offset"] == str(sent[0].offset).encode()

    waiting = run_cli("consumer", "dead-letters", "list", env=topics.environment).stdout
    assert "broken" in waiting
    assert "too large" not in waiting
    assert "1 dead letter\n2 more were replayed" in waiting


def test_what_does_not_belong_back_is_passed_over_and_said(
    stack: Stack, topics: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    write(
        stack,
        topics.dead_letter,
        [
            dead_letter("moved", topics.input, partition=9),  # a partition that this topic does not have
            dead_letter("third", topics.input, attempts=3),
            dead_letter("stranger", "another-topic"),
            (b"foreign", b"of another program", []),
        ],
    )
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address, max_request_size=2**25)) as producer:
        headers = dead_letter("huge", topics.input)[2]
        producer.send(topics.dead_letter, b"x" * 2**24, b"huge", headers).get(timeout=30)

    said = replay(run_cli, topics, "--dry-run")
    assert "would replay 1 dead letter of" in said
    assert not describe(admin, [f"{topics.dead_letter}-replayed"])  # a dry run leaves nothing behind
    assert not read_all(stack, topics.input)

    said = replay(run_cli, topics)
    assert "replayed 1 dead letter of" in said
    for why in ("failed 3 times", "of topic another-topic", "no dead letter of `label`", "too large for"):
        assert f"passed over 1: {why}" in said
    assert names(read_all(stack, topics.input)) == ["moved"]

    unknown = run_cli(
        "consumer", "dead-letters", "replay", "--force", "--ids", f"{topics.input}/0/7,nobody", env=topics.environment
    )
    assert unknown.returncode == 1
    assert "no dead letter of nobody" in unknown.stderr
    assert sorted(names(read_all(stack, topics.input))) == ["moved", "third"]


def test_a_topic_of_receipts_that_forgets_is_refused(topics: Topics, run_cli: RunCli, admin: KafkaAdminClient) -> None:
    admin.create_topics({f"{topics.dead_letter}-replayed": {"num_partitions": 1, "replication_factor": 1}})

    ended = run_cli("consumer", "dead-letters", "replay", env=topics.environment)

    assert ended.returncode == 1
    assert "set its retention.ms to -1" in ended.stderr
