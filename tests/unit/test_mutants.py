"""The table of mutants cannot rot: what each takes out is in the code, and its tests exist."""

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant, Run, where


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_guard_is_in_the_code_once_and_its_tests_exist(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (ROOT / edit.file).read_text("utf-8").count(edit.old) == 1, edit
    for test in mutant.tests:
        assert where(test)


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_mutant_survives_when_one_of_its_tests_passes() -> None:
    run = Run(1, {"tests/a.py::test_one[case]": "assert 1 == 2"}, 1.0, "")

    assert run.survivors(["test_one"]) == []
    assert run.survivors(["test_one", "test_other"]) == ["test_other"]
