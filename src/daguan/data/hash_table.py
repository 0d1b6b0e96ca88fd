"""Finds hashes among many: a table by their highest bits leads to the place of each faster than a binary search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daguan.data.feature_hashes import Ints, Numbers

BITS = 64  # of a hash
HIGHEST = np.uint64((1 << BITS) - 1)


@dataclass(frozen=True)
class HashTable:
    """S hashes, which are evenly distributed, arranged in ranges that share their highest bits.

    Attributes:
        keys: (S+1,) the hashes, ascending, and HIGHEST.
        first: where the keys of each range begin.
        shift: the number of the other bits.
    """

    keys: Numbers
    first: Ints
    shift: np.uint64

    @classmethod
    def of(cls, keys: Numbers) -> HashTable:
        """Makes the table of keys (S,), ascending: about as many ranges as keys."""
        bits = max(1, len(keys).bit_length())
        shift = np.uint64(BITS - bits)
        counts = np.bincount((keys >> shift).astype(np.int64), minlength=1 << bits)
        return cls(np.append(keys, HIGHEST), np.cumsum(counts) - counts, shift)

    def find(self, values: Numbers) -> tuple[Ints, Ints]:
        """Returns which of the values (N,) are keys, and the place of each of those among the keys."""
        places = self.first[(values >> self.shift).astype(np.int64)]
        keys = self.keys[places]
        behind = np.flatnonzero(keys < values)
        while len(behind):
            places[behind] += 1
            keys[behind] = self.keys[places[behind]]
            behind = behind[keys[behind] < values[behind]]
        found = np.flatnonzero(keys == values)
        found = found[places[found] < len(self.keys) - 1]  # the last one is no key
        return found, places[found]
