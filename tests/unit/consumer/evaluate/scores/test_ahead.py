import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from consumer.classify.pictures.decode import NotAnImage, PictureError
from consumer.evaluate.scores.ahead import AHEAD, Failure, Ready, batches
from producer.dataset.entry import Entry, Refused
from producer.dataset.open import open_dataset
from producer.post import Post
from tests.conftest import wait_until
from tests.unit.consumer.evaluate.colours import write_dataset

SIZE = 4


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry | Refused]:
    dataset = write_dataset(tmp_path_factory.mktemp("colours"), posts=40)
    return list(open_dataset(dataset).entries())


def test_two_batches_are_prepared_while_the_model_works_on_one_and_no_more(entries: list[Entry | Refused]) -> None:
    read: list[str | None] = []
    prepared = Counter[str]()

    def prepare(posts: Sequence[Post]) -> Iterator[str]:
        prepared[threading.current_thread().name] += len(posts)
        return (post.post_id for post in posts)

    def lazily() -> Iterator[Entry | Refused]:
        for entry in entries:
            read.append(entry.post_id)
            yield entry

    running = batches(lazily(), prepare, SIZE, 2)
    first = next(running)

    wait_until(lambda: prepared.total() == SIZE * (1 + AHEAD), what="the batches ahead")
    assert len(read) == SIZE * (1 + AHEAD)
    assert all(name.startswith("decode") for name in prepared)
    rest = [outcome for batch in running for outcome in batch]
    done = [outcome.prepared for outcome in [*first, *rest] if isinstance(outcome, Ready)]
    assert done == [entry.post_id for entry in entries]


def test_each_entry_has_one_outcome_in_its_order(entries: list[Entry | Refused], tmp_path: Path) -> None:
    def prepare(posts: Sequence[Post]) -> Iterator[int | PictureError]:
        for post in posts:
            yield NotAnImage("3 bytes") if post.post_id == entries[1].post_id else len(post.picture)

    gone = Entry("gone", "rome", tmp_path / "gone.jpg")
    outcomes = list(batches([*entries[:3], Refused("row", "line 7: no"), gone], prepare, SIZE, 2))

    assert [len(batch) for batch in outcomes] == [4, 1]
    first, second, third, row = outcomes[0]
    assert isinstance(first, Ready)
    assert isinstance(third, Ready)
    assert first.prepared == len(first.post.picture) > 0
    assert second == Failure(str(entries[1].post_id), "not_an_image", "3 bytes")
    assert row == Failure("row", "refused", "line 7: no")
    assert isinstance(outcomes[1][0], Failure)
    assert (outcomes[1][0].post_id, outcomes[1][0].reason) == ("gone", "refused")


def test_an_error_that_is_no_picture_s_ends_it(entries: list[Entry | Refused]) -> None:
    def prepare(posts: Sequence[Post]) -> Iterator[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(batches(entries, prepare, SIZE, 2))
