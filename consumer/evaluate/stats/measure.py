"""What the share of right labels is called: in every file by its own name, agreement never under that of accuracy.

In memory the columns are called `accuracy…` whatever they measure, so that one code computes and draws both.
"""

from typing import Literal

import pandas as pd

Measure = Literal["accuracy", "agreement"]
"""``accuracy`` against what a person marked, ``agreement`` with pre-labels that nobody looked at."""

IN_MEMORY = "accuracy"


def as_written(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The table with `accuracy`, `accuracy_low` … called after the measure, as every CSV has them."""
    return _renamed(table, IN_MEMORY, measure)


def as_computed(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The table of a CSV with the names that it has in memory."""
    return _renamed(table, measure, IN_MEMORY)


def _renamed(table: pd.DataFrame, old: str, new: str) -> pd.DataFrame:
    return table.rename(columns=lambda name: new + name.removeprefix(old) if name.startswith(old) else name)
