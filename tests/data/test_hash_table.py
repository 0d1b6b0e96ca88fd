"""Hashes are found as a binary search finds them."""

import numpy as np
import pytest

from daguan.data.hash_table import HIGHEST, HashTable

RNG = np.random.default_rng(0)
KEYS = {
    "none": [],
    "lowest": [0],
    "highest": [HIGHEST],
    "both ends": [0, HIGHEST],
    "halves": [2**63 - 1, 2**63],
    "crowded": [*range(50, 90), *range(2**60, 2**60 + 40)],
    "spread": [number << 54 for number in range(1 << 10)],
    "random": sorted(RNG.integers(2**64, size=5000, dtype=np.uint64).tolist()),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_keys_among_values_are_found_at_their_places(name):
    keys = np.array(KEYS[name], np.uint64)
    ends = np.array([0, 1, HIGHEST - np.uint64(1), HIGHEST], np.uint64)
    near = np.concatenate([keys, keys - np.uint64(1), keys + np.uint64(1), ends])  # wraps around
    values = RNG.permutation(np.concatenate([near, near, RNG.integers(2**64, size=100, dtype=np.uint64)]))
    found, places = HashTable.of(keys).find(values)
    assert (found == np.flatnonzero(np.isin(values, keys))).all()
    assert (places == np.searchsorted(keys, values[found])).all()
    assert (keys[places] == values[found]).all()


def test_no_value_is_found_nowhere():
    found, places = HashTable.of(np.array([3, 8], np.uint64)).find(np.zeros(0, np.uint64))
    assert len(found) == len(places) == 0
