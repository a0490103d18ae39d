"""Captions of all kinds, and how near the vectors are that two encoders make of them."""

import numpy as np
from numpy.typing import NDArray

CAPTIONS = (
    "the bridge at noon",
    "!",
    "",
    "Too hot, too crowded, and my feet hurt. The temple is closed on Mondays 😡",
    "a " * 200,  # longer than the tower
    "湖の上のお寺 🙏",
    "مرحبا",
    "a\0b",
)


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((left * right).sum(axis=1))
