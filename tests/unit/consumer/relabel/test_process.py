import pickle
import subprocess
import sys

import pytest

from tests.unit.consumer.relabel.test_decide import HEAD, SURE, encoded

COMMAND = [sys.executable, "-m", "consumer.relabel.process"]


@pytest.mark.slow
def test_it_ends_without_a_word_when_its_parent_was_killed_within_a_message() -> None:
    message = pickle.dumps(HEAD)[:40]
    ended = subprocess.run(COMMAND, input=message, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


@pytest.mark.slow
def test_it_ends_without_a_word_when_nobody_reads_its_answers() -> None:
    values = pickle.dumps(HEAD) + pickle.dumps([encoded(SURE).to_value()])
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.write(values)
    process.stdin.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (0, b"")
