"""The rights of ``deploy/contracts/acls.yml``: with exactly these every role runs, without one the error names it."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.conftest import background, wait_until
from tests.integration.security.flow import Flow, fresh_names, one_line
from tests.integration.security.secured import PASSWORD, REDIS_PASSWORD, ROLES, Right, rights_of

Ended = subprocess.CompletedProcess[str]

LEFT_OUT = {
    "topics": ("OUTPUT_TOPIC", "DEAD_LETTER_TOPIC", "VECTORS_TOPIC"),  # one of the topics is enough
    "label": ("INPUT_TOPIC", "DEAD_LETTER_TOPIC", "GROUP_ID"),  # a run takes seconds
    "relabel": ("DEAD_LETTER_TOPIC", "GROUP_ID-relabel-"),
}
GOES_ON = "board"
"""It does not end when it may not do something, but says so on its pages and tries again."""
OF_ITS_OWN = "benchmark"
"""It prints what it does, and may leave its topics behind: that it runs with what it needs is enough."""
CASES = [
    (role, right)
    for role in ROLES
    for right in rights_of(role)
    if role not in (GOES_ON, OF_ITS_OWN) and not right.optional and right.name not in LEFT_OUT.get(role, ())
]


@pytest.fixture(scope="module")
def ran(flow: Flow) -> Mapping[str, Ended]:
    """How every role ended, each with what it needs and nothing more; in turn by SCRAM and by PLAIN."""
    ended = {}
    for number, role in enumerate(role for role in flow.commands() if role != GOES_ON):
        if role in ROLES:
            flow.allow(role, *(right for right in rights_of(role) if not right.optional))
        flags = ("--ids", "broken") if role == "dead-letters replay" else ()  # the other one waits
        ended[role] = flow.run(role, *flags, SASL_MECHANISM=("SCRAM-SHA-512", "PLAIN")[number % 2])
    return ended


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("topics", "-dlt: created"),
        ("replay", "sent 5, failed 0"),
        ("label", "ended labeled=3 dead=2"),
        ("relabel", "ended labeled=3 dead=0"),
        ("diff", "equal places: 3 of 3"),
        ("count", "ended counted=3"),
        ("popularity", "data: 3 posts"),
        ("verify", "the counters equal the 3 labelled posts"),
        ("recount", "recounted 3 labelled posts"),
        ("export", "3 labelled posts"),
        ("export vectors", "3 encoded posts"),
        ("pictures", "2 posts"),
        ("evaluate popularity", ", 3 posts"),
        ("benchmark", "posts/s"),
        ("dead-letters list", "truncated_image"),
        ("dead-letters replay", "replayed 1 dead letter"),
    ],
)
def test_a_role_runs_with_exactly_what_it_needs(ran: Mapping[str, Ended], role: str, says: str) -> None:
    ended = ran[role]

    assert ended.returncode == 0, ended.stderr
    assert says in ended.stdout + ended.stderr


def test_what_is_optional_is_missed_with_a_warning_and_not_when_it_is_there(
    flow: Flow, ran: Mapping[str, Ended]
) -> None:
    without = ran["label"].stderr
    assert without.count("DESCRIBE_CONFIGS is not allowed") == 4
    assert "may not look for transactions that the broker forgot topic=__consumer_offsets" in without

    flow.allow("label", *rights_of("label"))
    again = flow.run("label")

    assert again.returncode == 0
    assert "allowed" not in again.stderr
    assert "may not" not in again.stderr


@pytest.mark.usefixtures("ran")
def test_a_replay_that_may_not_read_the_topic_says_what_it_does_not_know_and_sends(flow: Flow) -> None:
    flow.allow("replay", *(right for right in rights_of("replay") if not right.optional))
    blind = flow.run("replay")
    assert blind.returncode == 0
    assert "READ is not allowed, so it is not known whether it holds these posts already" in blind.stderr

    flow.allow("replay", *rights_of("replay"))
    assert "already holds post " in one_line(flow.run("replay"))


@pytest.fixture(scope="module")
def refused(flow: Flow, ran: Mapping[str, Ended]) -> Mapping[tuple[str, Right], tuple[Flow, Ended]]:
    """How each role ended without one right at a time: one role beside the other, for each has a user of its own."""
    again = ("--again",)
    for role, flags in (("replay", again), ("label", ()), ("replay", again)):  # something to relabel, and to label
        assert flow.run(role, *flags).returncode == 0

    def run_all(role: str) -> dict[tuple[str, Right], tuple[Flow, Ended]]:
        return {(role, right): run_without(flow, role, right) for of, right in CASES if of == role}

    with ThreadPoolExecutor(3) as threads:
        return {case: found for each in threads.map(run_all, ROLES) for case, found in each.items()}


def run_without(flow: Flow, role: str, right: Right) -> tuple[Flow, Ended]:
    if right.operation == "CREATE":  # of what is not there yet
        flow = replace(flow, names=fresh_names())
        if role != "topics":
            with flow.secured.admin() as admin:
                topics = [name for setting, name in flow.names.items() if setting.endswith("TOPIC")]
                admin.create_topics(dict.fromkeys(topics, {"num_partitions": 1, "replication_factor": 1}))
                admin.wait_for_topics(topics)
    flow.allow(role, *(each for each in rights_of(role) if each != right and not each.optional))
    return flow, flow.run(role)


@pytest.mark.parametrize(
    ("role", "right"), CASES, ids=[f"{role}-{right.operation}-{right.name}" for role, right in CASES]
)
def test_without_a_right_the_error_names_what_it_is_of(
    refused: Mapping[tuple[str, Right], tuple[Flow, Ended]], role: str, right: Right
) -> None:
    flow, ended = refused[role, right]

    line = one_line(ended)
    assert flow.resolved(role, right) in line
    assert "uthorization" in line


@contextmanager
def board(flow: Flow, folder: Path, *rights: Right) -> Iterator[str]:
    """A board that may do just this; its address."""
    flow.allow("board", *rights)
    module, *arguments = flow.commands()["board"]
    with background(folder, flow.environment("board")) as start:
        running = start(module, *arguments)
        running.wait_for_output("(Ctrl-C ends it)")
        (url,) = re.findall(r"The board is at (http://\S+)/ ", running.output)
        yield url
        assert not any(secret in running.output for secret in (PASSWORD, REDIS_PASSWORD)), running.output


def ask(url: str) -> tuple[str, bytes]:
    """Content type and body of an answer, also of one that is a problem."""
    try:
        with urlopen(url, timeout=20) as answer:
            return answer.headers.get_content_type(), answer.read()
    except HTTPError as problem:
        return problem.headers.get_content_type(), problem.read()


def shown(url: str) -> tuple[str, bytes]:
    """The first picture on a board's wall, once a post is there."""

    def pictures() -> list[str]:
        return re.findall(r'src="(/picture/[^"]+)"', ask(url)[1].decode())

    wait_until(pictures, what="a post on the wall")
    return ask(url + unescape(pictures()[0]))


@pytest.mark.usefixtures("ran")
def test_the_board_shows_posts_and_pictures_with_exactly_what_it_needs(flow: Flow, tmp_path: Path) -> None:
    with board(flow, tmp_path, *rights_of("board")) as url:
        assert shown(url)[0] == "image/jpeg"


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize("right", rights_of("board"), ids=lambda right: right.name)
def test_the_board_says_which_topic_it_may_not_read(flow: Flow, tmp_path: Path, right: Right) -> None:
    topic = flow.resolved("board", right)
    says = re.compile(f"may not read the topic {topic}|no topic {topic}, or the board may not see it")
    with board(flow, tmp_path, *(each for each in rights_of("board") if each != right)) as url:
        if right.name == "INPUT_TOPIC":
            assert says.search(shown(url)[1].decode())
        else:
            page = f"{url}/search" if right.name == "VECTORS_TOPIC" else url
            wait_until(lambda: says.search(ask(page)[1].decode()), what="the topic's name on its page")
