from pathlib import Path

import pytest

from producer.dataset import repeats as module
from producer.dataset.entry import Entry
from producer.dataset.repeats import Repeats


def test_what_does_not_fit_into_memory_is_remembered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_KIB", 8)
    repeats = Repeats()
    entries = [Entry(str(n), "rome", Path("a.jpg")) for n in range(5_000)]
    assert {repeats.look(entry) for entry in entries} == {"new"}
    assert {repeats.look(entry) for entry in entries} == {"same"}
    assert repeats.look(Entry("17", "rome", Path("b.jpg"))) == "other"
    repeats.close()
