"""A replay of dead letters that another overtakes before it has begun: what the other did it does not do again."""

from collections import Counter
from pathlib import Path

from deploy.local.stack import Stack
from tests.conftest import RunCli, StartCli, Topics
from tests.integration.consumer.dead_letters.letters import HELD, dead_letter, names, replay
from tests.wire import read_all, write


def test_a_replay_that_is_overtaken_before_it_fences_others_replays_nothing_again(
    stack: Stack, topics: Topics, start_cli: StartCli, run_cli: RunCli, tmp_path: Path
) -> None:
    letters = [f"letter-{number}" for number in range(40)]
    write(stack, topics.dead_letter, [dead_letter(name, topics.input) for name in letters])
    release = tmp_path / "release"
    overtaken = start_cli(HELD, "init_transactions", "1", str(release), env=topics.environment)
    overtaken.wait_for_output("held")

    assert "replayed 40 dead letters" in replay(run_cli, topics)
    release.touch()

    assert overtaken.wait() == 0, overtaken.output
    assert "replayed 0 dead letters" in overtaken.output
    assert Counter(names(read_all(stack, topics.input))) == Counter(letters)
