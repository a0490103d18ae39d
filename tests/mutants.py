"""The guards of exactly once, checked by their absence: without one of them, a test that names it must fail.

`make mutants`, or `python -m tests.mutants [NAME …]`. Each mutant takes one guard out of a copy of this working tree.
A mutant that survives is a missing test, or a guard that guards nothing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
LONGEST = 900
"""Seconds that the tests of one mutant may take."""

PATIENCE = "60"
"""Seconds that a test waits for what a mutant may prevent."""

JUDGEMENTS = ("assert", "AssertionError", "Failed: ", "subprocess.TimeoutExpired")
"""How a test says that something is wrong; another error may be the test's own, and shows nothing."""

READ = "consumer/label/read.py"
PUBLISH = "consumer/label/publish.py"
WORKER = "consumer/label/worker.py"
CONSUMER = "consumer/kafka/bounded_consumer.py"
POSITIONS = "consumer/label/positions.py"
TRIAL = "consumer/label/trial.py"
REPLAY = "consumer/dead_letters/replay.py"
SWITCH = "consumer/count/switch.lua"


@dataclass(frozen=True, slots=True)
class Edit:
    """An exact replacement."""

    file: str
    old: str  # occurs exactly once
    new: str


class Mutant:
    """A guard, how it is taken out, and the tests that must all fail then, by their names alone.

    More than one edit: the guards back each other up, and only without both does a promise break.
    """

    def __init__(self, name: str, guard: str, *edits: Edit, tests: Sequence[str]) -> None:
        self.name, self.guard, self.edits, self.tests = name, guard, edits, tests


WITHOUT_CHECK = Edit(
    READ, "is_over = generation < 0 or generation != self._consumer.group_metadata().generation_id", "is_over = False"
)

MUTANTS = (
    Mutant(
        "metadata-when-polled",
        "the group metadata of a batch is that of the poll, not of later",
        Edit(
            READ,
            "        self._metrics.batch_closed",
            "        object.__setattr__(batch, 'group', self._consumer.group_metadata())\n"
            "        self._metrics.batch_closed",
        ),
        tests=["test_a_batch_has_the_group_metadata_of_the_poll_not_of_later"],
    ),
    Mutant(
        "offsets-by-generation",
        "offsets are sent under the batch's generation, so that the broker can refuse them",
        Edit(
            PUBLISH,
            "send_offsets_to_transaction(batch.offsets, batch.group)",
            "send_offsets_to_transaction(batch.offsets, type(batch.group)(batch.group.group_id))",
        ),
        tests=["test_a_worker_that_thaws_after_its_partitions_were_given_away_is_refused"],
    ),
    Mutant(
        "generation-check",
        "a batch whose generation is over, or that has none, is not published",
        WITHOUT_CHECK,
        tests=[
            "test_a_batch_without_a_generation_is_not_published",
            "test_a_batch_has_the_group_metadata_of_the_poll_not_of_later",
        ],
    ),
    Mutant(
        "check-before-publish",
        "every batch is checked right before it is published",
        Edit(WORKER, "self._source.check(batch)", "pass"),
        tests=["test_a_batch_of_an_earlier_generation_is_dropped_and_its_records_come_again"],
    ),
    Mutant(
        "metadata-and-check",
        "both of them: metadata taken at publish time, and no check of the generation",
        Edit(
            WORKER,
            "self._sink.publish(batch, records)",
            "self._sink.publish(Batch(batch.records, batch.offsets, self._source._consumer.group_metadata(), "
            "batch.closed_by), records)",
        ),
        WITHOUT_CHECK,
        tests=["test_what_others_published_while_a_worker_stood_still_is_not_published_again"],
    ),
    Mutant(
        "collected-is-forgotten",
        "what was collected before a rebalance is forgotten",
        Edit(READ, "self._collected.clear()", "pass"),
        tests=[
            "test_what_was_collected_before_a_rebalance_comes_again_once",
            "test_what_was_collected_of_a_partition_that_is_taken_away_is_not_handed_out",
        ],
    ),
    Mutant(
        "rebalance-is-seen",
        "a rebalance makes what was read before it stale, records of the very poll included",
        Edit(READ, "return self._rebalances.count != self._synced", "return False"),
        tests=[
            "test_what_was_collected_of_a_partition_that_is_taken_away_is_not_handed_out",
            "test_records_of_the_very_poll_during_which_the_group_changed_are_dropped",
        ],
    ),
    Mutant(
        "in-flight-is-forgotten",
        "a recovery forgets the batches in flight",
        Edit(WORKER, "        self._in_flight.clear()\n", ""),
        tests=["test_a_refused_publish_while_the_next_batch_is_in_flight_repeats_neither"],
    ),
    Mutant(
        "sends-are-waited-for",
        "every send has arrived before offsets and commit",
        Edit(PUBLISH, "        wait_for_all(sent, self._settings.delivery_ms / 1000)\n", ""),
        tests=[
            "test_nothing_is_committed_when_a_send_has_failed",
            "test_a_send_that_expires_in_an_otherwise_healthy_transaction_loses_nothing",
        ],
    ),
    Mutant(
        "resync-after-refusal",
        "after a refused publish the worker goes back to the committed offsets",
        Edit(WORKER, "self._source.resync()", "isinstance(cause, PublishFailed) or self._source.resync()"),
        tests=[
            "test_a_refused_publish_while_the_next_batch_is_in_flight_repeats_neither",
            "test_a_batch_refused_while_the_next_is_in_the_model_comes_out_once_and_so_does_the_next",
        ],
    ),
    Mutant(
        "input-read-committed",
        "the input consumer is read_committed: it waits for a predecessor's pending offsets",
        Edit(
            CONSUMER,
            'isolation_level="read_committed"',
            'isolation_level="read_uncommitted" if "group_id" in further else "read_committed"',
        ),
        tests=["test_offsets_that_a_frozen_worker_has_pending_are_waited_for"],
    ),
    Mutant(
        "no-offset-reset",
        "an offset that is no longer in the log is an error, not a silent jump",
        Edit(CONSUMER, 'auto_offset_reset="none"', 'auto_offset_reset="earliest"'),
        tests=["test_records_that_expire_under_a_running_worker_are_said_and_passed"],
    ),
    Mutant(
        "compare-and-set",
        "counters move only from the offsets that the counting began at",
        Edit("consumer/count/store.lua", "if (stored or '') ~= offset then", "if false then"),
        tests=[
            "test_a_tally_read_from_elsewhere_is_refused_and_changes_nothing",
            "test_two_counts_at_once_count_every_post_once",
        ],
    ),
    Mutant(
        "dead-letters-in-transaction",
        "dead letters are sent in the transaction of their batch",
        Edit(
            PUBLISH,
            "self._producer.send(out.topic,",
            "(KafkaProducer(**self._settings.kafka()) if out.topic == self._settings.dead_letter_topic "
            "else self._producer).send(out.topic,",
        ),
        tests=["test_dead_letters_of_a_batch_that_is_aborted_are_aborted_with_it"],
    ),
    Mutant(
        "kept-partition-is-sought",
        "a partition that is kept over a rebalance goes back to what is committed",
        Edit(
            READ,
            "            self._seek(partition, offset)\n",
            "            partition in self._lag._behind.now.positions or self._seek(partition, offset)\n",
        ),
        tests=["test_a_partition_that_is_kept_goes_back_to_what_is_committed"],
    ),
    Mutant(
        "hanging-is-ended",
        "what a broker forgot to end of a transactional id is ended before its first record",
        Edit("consumer/kafka/orphans.py", "return _end_hanging(admin, transactional_id, topics, before)", "return []"),
        tests=[
            "test_what_hangs_of_the_own_id_alone_is_aborted",
            "test_a_commit_that_the_broker_forgot_is_completed_and_nothing_of_it_comes_twice",
        ],
    ),
    Mutant(
        "leaders-are-watched",
        "before a transaction it is made sure that no broker came back that may have forgotten the last one",
        Edit(PUBLISH, "if self._epochs() != self._leaders:\n", "if False:\n"),
        tests=["test_a_leader_that_changed_is_seen_before_a_transaction_and_leads_to_a_new_producer"],
    ),
    Mutant(
        "ends-after-committed",
        "the ends are asked for after the committed offsets",
        Edit(
            POSITIONS,
            "        committed = {partition: self._committed(consumer, partition) for partition in partitions}\n",
            "        ends = ends_of(self._admin, self._topic)\n"
            "        committed = {partition: self._committed(consumer, partition) for partition in partitions}\n",
        ),
        Edit(POSITIONS, "        ends = ends_of(self._admin, self._topic)\n        if missing", "        if missing"),
        tests=["test_what_others_commit_while_it_looks_is_no_offset_of_an_earlier_topic"],
    ),
    Mutant(
        "offsets-do-not-go-back",
        "a partition goes on where this worker knows it to stand, even if the broker has forgotten that",
        Edit(POSITIONS, "max(offset, self._known.get(partition, 0))", "offset"),
        tests=["test_a_broker_that_forgets_what_this_worker_committed_is_not_believed"],
    ),
    Mutant(
        "outputs-are-asked",
        "a new worker goes on after what came out, even if the broker has forgotten that it was committed",
        Edit(POSITIONS, "(known | self._published.beyond(known, self._topic_id))", "known"),
        tests=[
            "test_a_partition_goes_on_after_what_came_out_whatever_the_broker_says",
            "test_what_the_broker_forgot_is_not_labelled_twice",
        ],
    ),
    Mutant(
        "outputs-of-this-topic",
        "what came out of an earlier topic of this name hides nothing of its successor",
        Edit("consumer/label/published.py", " and self._is_made_of(partition, topic_id, out)", ""),
        tests=["test_the_same_posts_in_a_recreated_topic_are_labelled_again"],
    ),
    Mutant(
        "topic-by-its-id",
        "whether an output was made of this topic is not a question of two clocks",
        Edit("consumer/label/published.py", 'headers.get(SOURCE_TOPIC_ID, b"")', 'b""'),
        tests=["test_nothing_is_labelled_twice_where_senders_are_an_hour_ahead_and_date_their_posts"],
    ),
    Mutant(
        "outputs-of-one-run",
        "a relabel does not add to what another run, or `label`, has written",
        Edit("consumer/relabel/relabel.py", "    check_owner(settings)\n", ""),
        tests=["test_the_same_run_goes_on_and_another_one_needs_another_topic"],
    ),
    Mutant(
        "hash-of-a-long-key",
        "a dead letter that has the hash of a long key is known as its post's",
        Edit("consumer/label/published.py", "short_key(post.key) == short_key(out.key)", "post.key == out.key"),
        tests=["test_what_the_broker_forgot_of_a_bomb_does_not_come_out_twice"],
    ),
    Mutant(
        "offsets-that-records-claim",
        "a record cannot claim the offset of another",
        Edit("consumer/kafka/unpack.py", "if not self._expected <= offset <= self._last:", "if False:"),
        tests=["test_a_record_that_claims_the_offset_of_another_hurts_no_other"],
    ),
    Mutant(
        "topic-id-in-offsets",
        "a committed offset says of which topic it is",
        Edit(POSITIONS, "replace(note, topic_id=self._topic_id)", "note"),
        tests=[
            "test_an_offset_that_was_committed_for_a_deleted_topic_of_this_name_is_not_used",
            "test_an_offset_that_was_committed_late_for_a_deleted_topic_hides_nothing_of_its_successor",
        ],
    ),
    Mutant(
        "topic-is-looked-at",
        "before a publish it is made sure that the topic is still the one that was read",
        Edit(
            READ,
            "            if self._positions.is_recreated():\n                raise Reassigned",
            "            if False:\n                raise Reassigned",
        ),
        tests=["test_an_offset_that_was_committed_late_for_a_deleted_topic_hides_nothing_of_its_successor"],
    ),
    Mutant(
        "new-topic-new-consumer",
        "a recreated topic is read by a consumer that has fetched nothing of the old one",
        Edit(READ, "            self.rejoin()  # the consumer may hold", "            # the consumer may hold"),
        tests=["test_an_offset_that_was_committed_for_a_deleted_topic_of_this_name_is_not_used"],
    ),
    Mutant(
        "dead-are-ended",
        "what hangs of a worker that does not come back is ended by another of its group",
        Edit(PUBLISH, "                if self._is_orphaned(name):\n", "                if False:\n"),
        tests=["test_what_the_dead_left_is_ended_after_a_leader_changed_and_once_more_when_it_must_have_timed_out"],
    ),
    Mutant(
        "receipts-in-transaction",
        "the receipt of a dead letter that goes back is sent in the same transaction",
        Edit(
            REPLAY,
            "sent.append(producer.send(self._receipts_topic,",
            'alone = KafkaProducer(bootstrap_servers=producer.config["bootstrap_servers"])\n'
            "            sent.append(alone.send(self._receipts_topic,",
        ),
        tests=["test_a_replay_that_is_killed_again_and_again_neither_loses_nor_doubles"],
    ),
    Mutant(
        "fence-before-receipts",
        "the receipts are read after every other replay is fenced",
        Edit(
            REPLAY,
            "    producer = None if settings.dry_run else connect(",
            "    early = receipts.read(settings, admin, topic_id) if receipts_topic in topics else set()\n"
            "    producer = None if settings.dry_run else connect(",
        ),
        Edit(
            REPLAY,
            "done = receipts.read(settings, admin, topic_id) if receipts_topic in topics else set()",
            "done = early",
        ),
        tests=["test_a_replay_that_is_overtaken_before_it_fences_others_replays_nothing_again"],
    ),
    Mutant(
        "publish-and-poll-are-limited",
        "a publish, a recovery and a poll happen within a limit of the watchdog",
        Edit(WORKER, 'with self._watchdog.limit(self._settings.publish_limit, "publishing a batch"):', "if True:"),
        Edit(
            WORKER,
            'with self._watchdog.limit(2 * self._settings.publish_limit, "going back to the committed offsets"):',
            "if True:",
        ),
        Edit(READ, 'with self._watchdog.limit(POLL_LIMIT, "reading records"):', "if True:"),
        tests=["test_a_publish_and_a_recovery_happen_within_a_limit", "test_a_poll_happens_within_a_limit"],
    ),
    Mutant(
        "two-in-flight",
        "one batch is in the model and one is being decoded: no more wait in memory, however slow the model",
        Edit(READ, "MOST_IN_FLIGHT = 2", "MOST_IN_FLIGHT = 3"),
        tests=["test_two_batches_are_in_flight_at_most_however_slow_the_model"],
    ),
    Mutant(
        "hanging-model-ends-the-worker",
        "a worker that waits for its model waits not forever",
        Edit(WORKER, "if self._waited > ENCODE_LIMIT", "if self._waited > 1e9 * ENCODE_LIMIT"),
        tests=["test_a_batch_that_the_model_does_not_give_back_ends_the_worker_as_if_it_were_killed"],
    ),
    Mutant(
        "condemned-only-when-alone",
        "no record is condemned for deaths of workers that had others in hand as well",
        Edit(TRIAL, "(note.by in dead and note.is_trying)", "(note.by in dead)"),
        tests=["test_workers_that_die_before_they_try_a_record_condemn_none"],
    ),
    Mutant(
        "the-living-are-not-dead",
        "a rebalance makes no record suspect",
        Edit(TRIAL, "dead = others - self._members() if others else others", "dead = others"),
        tests=["test_a_worker_that_left_and_did_not_die_makes_nothing_suspect"],
    ),
    Mutant(
        "recount-owns-what-it-switches",
        "a recount puts only what it has rebuilt itself in the place of the live counters",
        Edit(SWITCH, "if redis.call('HGET', rebuilt .. ':offsets', field) ~= offset then", "if false then"),
        Edit(SWITCH, "if redis.call('HLEN', rebuilt .. ':offsets') ~= expected then", "if false then"),
        tests=["test_a_recount_whose_counters_another_took_changes_nothing"],
    ),
    Mutant(
        "readers-wait-for-a-switch",
        "what is read while a recount puts its counters in place is the old or the new, never a mixture",
        Edit("consumer/count/snapshot.py", 'if (answer["topic"] or "").startswith(SWITCHING):', "if False:"),
        tests=["test_a_reader_sees_the_counters_of_before_or_after_a_recount_and_never_a_mixture"],
    ),
    Mutant(
        "known-cities-are-loaded",
        "the cities that keep their name are those that came first in the topic, not since the start of count",
        Edit("consumer/count/count.py", "KnownCities(zones, stand.first)", "KnownCities(zones)"),
        tests=["test_count_recount_and_verify_agree_wherever_count_was_stopped"],
    ),
    Mutant(
        "counts-read-committed",
        "count, recount and verify read only what is committed",
        Edit(
            CONSUMER,
            'isolation_level="read_committed"',
            'isolation_level="read_committed" if "group_id" in further else "read_uncommitted"',
        ),
        tests=["test_only_committed_labels_count_and_markers_are_no_lag"],
    ),
    Mutant(
        "key-of-a-serialiser",
        "what came out is known by its id also where a serialiser has made the post's key",
        Edit(
            "consumer/label/published.py",
            'return out.key is not None and is_key_of(post.key, out.key.decode("utf-8", "replace"))',
            "return False",
        ),
        tests=["test_a_label_is_made_of_the_post_whose_key_a_serialiser_has_made_of_its_id"],
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """The tests of a mutant, run.

    Attributes:
        code: pytest's exit code; 1 = tests failed, 0 = none did, anything else: they could not be run.
        failed: failed test -> why, in pytest's words.
        seconds: how long it took.
        output: all of it.
    """

    code: int
    failed: dict[str, str]
    seconds: float
    output: str

    def survivors(self, tests: Sequence[str]) -> list[str]:
        """The tests that did not see it: they passed, or ended by something else than their own judgement."""
        return [test for test in tests if not self.why(test).startswith(JUDGEMENTS)]

    def why(self, test: str) -> str:
        """Why a test failed; of a parametrised one, its first case that did."""
        cases = (why for failed, why in self.failed.items() if failed.partition("[")[0].endswith(f"::{test}"))
        return next(cases, f"it does not: exit code {self.code}")


def copy_tree(target: Path) -> None:
    """The files of this working tree as they are, those not yet added included."""
    ask = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # not deleted here
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def apply(edit: Edit, root: Path) -> None:
    """Replace the text in the tree below `root`.

    Raises:
        ValueError: it is not there exactly once.
    """
    path = root / edit.file
    text = path.read_text("utf-8")
    if text.count(edit.old) != 1:
        raise ValueError(f"{edit.file} has {text.count(edit.old)} times: {edit.old}")
    path.write_text(text.replace(edit.old, edit.new), "utf-8")


def where(test: str) -> str:
    """The file of a test, and its name.

    Raises:
        ValueError: not one file has a test of this name.
    """
    (file,) = [path for path in (ROOT / "tests").rglob("test_*.py") if f"\ndef {test}(" in path.read_text("utf-8")]
    return f"{file.relative_to(ROOT)}::{test}"


def run_tests(tests: Sequence[str], root: Path) -> Run:
    """Run these tests in the tree below `root`: the folder where `python -m` starts comes before what is installed."""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=short", "-p", "no:cacheprovider", *map(where, tests)],
        cwd=root,
        env=os.environ | {"COLUMNS": "400", "PYTHONDONTWRITEBYTECODE": "1", "TESTS_PATIENCE": PATIENCE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST,
    )
    failed = dict(re.findall(r"^FAILED (.+?)(?: - (.*))?$", ended.stdout, re.MULTILINE))
    return Run(ended.returncode, failed, time.monotonic() - began, ended.stdout)


def run_mutant(mutant: Mutant) -> Run:
    """Run a mutant's tests against a fresh copy without its guard."""
    with tempfile.TemporaryDirectory(prefix="placestream-mutant-") as folder:
        copy_tree(Path(folder))
        for edit in mutant.edits:
            apply(edit, Path(folder))
        return run_tests(mutant.tests, Path(folder))


def run_unchanged(mutants: Sequence[Mutant]) -> Run:
    """Run all their tests against an unchanged copy: a failure there would say nothing of a guard."""
    tests = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    with tempfile.TemporaryDirectory(prefix="placestream-unchanged-") as folder:
        copy_tree(Path(folder))
        ask = "import consumer, pathlib; print(pathlib.Path(consumer.__file__).parents[1])"
        found = subprocess.run([sys.executable, "-c", ask], cwd=folder, capture_output=True, text=True).stdout.strip()
        if Path(found).resolve() != Path(folder).resolve():
            raise RuntimeError(f"the tests would run the code of {found}")
        return run_tests(tests, Path(folder))


def report(runs: Sequence[tuple[Mutant, Run]]) -> Table:
    """One row per mutant and test."""
    table = Table("without the guard", "in", "this test fails", "s", "like this", show_lines=True)
    for mutant, run in runs:
        files = "\n".join(dict.fromkeys(edit.file for edit in mutant.edits))
        guard = f"{mutant.name}: {mutant.guard}"
        if run.survivors(mutant.tests):
            guard += "\nSURVIVED"
        for test in mutant.tests:
            table.add_row(guard, files, test, f"{run.seconds:.0f}", run.why(test))
            guard = files = ""
    return table


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these mutants (default: all)")
    parser.add_argument("--times", type=int, default=1, help="how often each must fail (default: once)")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    asked = parser.parse_args(argv)
    by_name = {mutant.name: mutant for mutant in MUTANTS}
    if asked.list or (wrong := set(asked.names) - by_name.keys()):
        print("\n".join(f"{mutant.name}: {mutant.guard}" for mutant in MUTANTS))
        return 0 if asked.list else parser.exit(2, f"no such mutant: {', '.join(sorted(wrong))}\n")
    chosen = [by_name[name] for name in asked.names] or list(MUTANTS)

    unchanged = run_unchanged(chosen)
    print(f"the unchanged tree: {unchanged.output.strip().splitlines()[-1]}", flush=True)
    if unchanged.code != 0:
        print(unchanged.output)
        return 1
    runs = []
    for mutant in chosen * asked.times:
        runs.append((mutant, run := run_mutant(mutant)))
        survived = run.survivors(mutant.tests)
        print(f"{mutant.name}: {'SURVIVED' if survived else 'seen'} after {run.seconds:.0f} s", flush=True)
        if survived:
            print(run.output)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(report(runs))
    surviving = [mutant.name for mutant, run in runs if run.survivors(mutant.tests)]
    print(f"{len(runs) - len(surviving)} of {len(runs)} mutants were seen by their tests")
    return 1 if surviving else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
