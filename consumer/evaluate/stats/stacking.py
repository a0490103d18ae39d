"""One table out of many blocks of rows, built at once: a frame for each block would take most of the time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def stacked(blocks: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Stack blocks of rows.

    Args:
        blocks: each column's values as an array of the block's rows, or one value for all of them.
        columns: of the table, in order; every block has them.
    """
    sizes = [max(np.size(value) for value in block.values()) for block in blocks]
    table: dict[str, Any] = {}
    for column in columns:
        values = [block[column] for block in blocks]
        if all(isinstance(value, str) for value in values):
            table[column] = np.repeat(np.array(values, object), sizes)
        else:
            table[column] = np.concatenate([np.broadcast_to(v, size) for v, size in zip(values, sizes, strict=True)])
    return pd.DataFrame(table if blocks else None, columns=list(columns))
