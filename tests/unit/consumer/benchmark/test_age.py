import pytest

from consumer.benchmark import age
from consumer.benchmark.pipeline import Run
from producer.base.errors import CommandError


def test_posts_that_never_come_out_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "PATIENCE", 0.05)

    with pytest.raises(CommandError, match="the worker labelled 3 of 4 posts"):
        age._wait(Run(posts=3), 4)
