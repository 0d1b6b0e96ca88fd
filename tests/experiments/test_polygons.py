"""Areas, simple polygons and equal cycles, against shapes one can draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.experiments.geometry import polygons
from daguan.experiments.geometry.polygons import are_simple, canonical, perimeters, same_cycles, signed_areas

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
SEQUENCES = {
    "counter-clockwise": [0, 1, 2, 3],
    "clockwise": [3, 2, 1, 0],
    "bow-tie": [0, 1, 3, 2],
    "triangle": [0, 1, 4, -1],
    "twice": [0, 1, 2, 0],
    "two corners": [0, 2, -1, -1],
    "nothing": [-1, -1, -1, -1],
}
ROWS = np.array(list(SEQUENCES.values()))
POINTS = np.repeat(SQUARE[None], len(ROWS), axis=0)


def test_areas_and_perimeters() -> None:
    assert signed_areas(POINTS, ROWS)[:4].tolist() == [1, -1, 0, 0.25]
    assert np.allclose(perimeters(POINTS, ROWS)[:4], [4, 4, 2 + 2 * 2**0.5, 1 + 2**0.5])


@pytest.mark.parametrize("most", [1 << 22, 40])
def test_what_is_a_simple_polygon(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygons, "MOST_NUMBERS", most)
    simple = dict(zip(SEQUENCES, are_simple(POINTS, ROWS), strict=True))
    assert {name for name, is_simple in simple.items() if is_simple} == {"counter-clockwise", "clockwise", "triangle"}


@given(st.permutations(range(7)), st.integers(1, 7), st.integers(0, 6), st.booleans(), st.integers(0, 3))
def test_a_cycle_is_the_same_from_any_start_either_way_round(order, length, turn, back, padding) -> None:
    one = np.array([order[:length]])
    other = np.roll(one, turn, axis=1)[:, :: -1 if back else 1]
    wider = np.pad(other, ((0, 0), (0, padding)), constant_values=-1)
    assert same_cycles(one, wider).all()
    assert same_cycles(wider, one).all()
    assert canonical(canonical(wider)).tolist() == canonical(wider).tolist()
    swapped = one.copy()
    swapped[0, :2] = swapped[0, :2][::-1]
    assert same_cycles(one, swapped)[0] == (length < 4)
    assert not same_cycles(one, np.append(one, [[8]], axis=1)).any()
