"""Arrays of whole numbers as JSON: the smallest type that holds them, in base 64. Scripts read them as typed arrays."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

TYPES = ("u1", "u2", "u4")  # unsigned, little-endian, by their bytes

Column = dict[str, Any]


def packed(values: ArrayLike) -> Column:
    """Returns an array of numbers from 0 to 2³²−1 as JSON: `{"type": "u2", "base64": …}`."""
    numbers = np.asarray(values, np.int64)
    high = int(numbers.max(initial=0))
    kind = next(kind for kind in TYPES if high < 1 << 8 * int(kind[1]))
    return {"type": kind, "base64": b64encode(numbers.astype(f"<{kind}").tobytes()).decode()}


def unpacked(column: Column) -> NDArray[np.int64]:
    """Returns the numbers of `packed`."""
    return np.frombuffer(b64decode(column["base64"]), f"<{column['type']}").astype(np.int64)


def offsets(lengths: Iterable[int]) -> NDArray[np.int64]:
    """Returns (N+1,) where each of N parts of these lengths begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum([*lengths])]).astype(np.int64)


def bytes_of(probabilities: ArrayLike) -> NDArray[np.int64]:
    """Returns probabilities in 8 bits: 0 to 255."""
    return np.rint(255 * np.clip(np.asarray(probabilities, np.float64), 0, 1)).astype(np.int64)
