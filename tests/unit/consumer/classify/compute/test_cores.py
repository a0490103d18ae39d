import threading
from collections.abc import Iterator

import pytest
import torch

from consumer.classify.compute.cores import Cores


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_parts_come_back_in_their_order_whichever_is_done_first() -> None:
    is_first_done = threading.Event()

    def compute(part: int) -> torch.Tensor:
        if part == 0:
            assert is_first_done.wait(60)
        else:
            is_first_done.set()
        return torch.tensor(part)

    assert [int(each) for each in Cores().each(compute, range(6))] == list(range(6))


def test_each_part_is_computed_by_one_thread_and_several_at_a_time() -> None:
    together = threading.Barrier(3)

    def compute(part: int) -> torch.Tensor:
        together.wait(60)
        return torch.tensor([torch.get_num_threads(), torch.is_inference_mode_enabled()])

    assert [each.tolist() for each in Cores().each(compute, range(3))] == [[1, 1]] * 3


def test_a_single_part_is_computed_by_all_threads() -> None:
    (found,) = Cores().each(lambda part: torch.tensor(torch.get_num_threads()), [0])
    assert found == 3


def test_other_threads_keep_their_number() -> None:
    Cores()
    numbers = [torch.get_num_threads()]
    later = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert numbers == [3, 3]


def test_what_a_part_raises_is_raised() -> None:
    def compute(part: int) -> torch.Tensor:
        raise MemoryError(f"of part {part}")

    with pytest.raises(MemoryError, match="of part 0"):
        Cores().each(compute, range(3))


@pytest.mark.parametrize(
    ("rows", "sizes"), [(0, []), (1, [1]), (2, [1, 1]), (4, [2, 2]), (7, [3, 3, 1]), (32, [4] * 8)]
)
def test_no_part_is_larger_than_it_may_be_and_no_core_is_idle_for_its_sake(rows: int, sizes: list[int]) -> None:
    parts = Cores().parts(range(rows), 4)
    assert [len(part) for part in parts] == sizes
    assert [row for part in parts for row in part] == list(range(rows))
