from collections.abc import Sequence

import pytest

from consumer.dead_letter import DeadLetter
from consumer.label.breaker import WINDOW, Breaker
from producer.base.errors import CommandError

DEAD = DeadLetter("decode_failed", "DecodeFailed", "it took more than 5 s")
ALIVE = None
Batch = Sequence[DeadLetter | None]
IN_A_ROW = "posts in a row failed for what may be our fault .BREAKER_CONSECUTIVE."
RATIO = r"501 of the last 1000 posts failed for what may be our fault .BREAKER_RATIO 0\.5."


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(consecutive=200, ratio=0.5)


def publish(breaker: Breaker, *batches: Batch) -> None:
    for batch in batches:
        breaker.judge(batch)
        breaker.remember(batch)


def test_two_hundred_in_a_row_over_several_batches_are_too_many(breaker: Breaker) -> None:
    publish(breaker, [ALIVE] * 3 + [DEAD] * 50, [DEAD] * 64, [DEAD] * 64, [DEAD] * 21)  # 199
    with pytest.raises(CommandError, match=IN_A_ROW):
        breaker.judge([DEAD])


def test_one_that_lives_ends_the_row(breaker: Breaker) -> None:
    publish(breaker, [DEAD] * 199, [ALIVE], [DEAD] * 199, [ALIVE] + [DEAD] * 199)
    with pytest.raises(CommandError, match=IN_A_ROW):
        breaker.judge([DEAD, ALIVE])


def test_a_row_in_the_middle_of_a_batch_counts_even_when_the_batch_ends_well(breaker: Breaker) -> None:
    with pytest.raises(CommandError, match="^200 " + IN_A_ROW):
        breaker.judge([DEAD] * 250 + [ALIVE] * 10)


def test_a_batch_that_was_judged_but_not_committed_is_forgotten(breaker: Breaker) -> None:
    publish(breaker, [DEAD] * 150)
    for _ in range(5):  # refused by the broker again and again: it is the same batch
        breaker.judge([DEAD] * 40)
    publish(breaker, [DEAD] * 49)
    with pytest.raises(CommandError, match=IN_A_ROW):
        breaker.judge([DEAD])


def test_half_of_the_last_thousand_may_die_and_no_more(breaker: Breaker) -> None:
    publish(breaker, *([[DEAD, ALIVE] * 50] * 10))
    publish(breaker, [DEAD, ALIVE])  # the oldest two leave
    with pytest.raises(CommandError, match=RATIO):
        breaker.judge([DEAD, DEAD])
    publish(breaker, [ALIVE, DEAD])


def test_before_a_thousand_are_seen_the_share_is_no_matter(breaker: Breaker) -> None:
    publish(breaker, *([[DEAD, DEAD, ALIVE]] * 333))
    assert WINDOW == 1000
    with pytest.raises(CommandError, match="667 of the last 1000"):
        breaker.judge([DEAD])


def test_what_happened_more_than_a_thousand_posts_ago_is_no_matter(breaker: Breaker) -> None:
    publish(breaker, *([[DEAD, ALIVE] * 50] * 10), *([[ALIVE] * 100] * 5), [DEAD, ALIVE] * 100)


def test_a_row_may_be_longer_than_the_window() -> None:
    breaker = Breaker(consecutive=1500, ratio=1.0)
    publish(breaker, *([[DEAD] * 100] * 14), [DEAD] * 99)
    with pytest.raises(CommandError, match="^1500 " + IN_A_ROW):
        breaker.judge([DEAD])


def test_the_line_says_what_the_posts_died_of_and_how_often(breaker: Breaker) -> None:
    other = DeadLetter("encode_failed", "RuntimeError", "out of\nmemory " + "x" * 500)
    publish(breaker, [other] * 40, [ALIVE], [DEAD] * 100, [other] * 20)
    with pytest.raises(CommandError) as ended:
        breaker.judge([DEAD] * 80)
    assert str(ended.value) == (
        "200 posts in a row failed for what may be our fault (BREAKER_CONSECUTIVE), of 180 decode_failed (it took more "
        f"than 5 s), 20 encode_failed (out of memory {'x' * 186}): stopped before publishing the last of them; look at "
        "the dead-letter topic, then start again"
    )
