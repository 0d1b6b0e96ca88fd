"""Damage is what it says, and precision at k counts damaged places."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.label_errors import SHARE, Place, damaged, interval, precision

from conftest import random_sentence


@pytest.mark.parametrize("seed", range(4))
def test_damage_changes_a_share_of_the_entities_and_nothing_else(seed: int) -> None:
    rng = np.random.default_rng(3)
    lines = [random_sentence(rng, int(length)) for length in rng.integers(5, 40, 300)]
    wrong, places = damaged(lines, seed)
    entities = sum(len(line.gold) for line in lines)
    assert len(places) == round(SHARE * entities)
    for number, (line, other) in enumerate(zip(lines, wrong, strict=True)):
        assert line.tokens == other.tokens
        differing = set(line.gold) ^ set(other.gold)
        here = [place for place in places if place.line == number]
        assert all(any(p.start <= span.start and span.stop <= p.stop for p in here) for span in differing)
        assert all(any(p.start <= span.start and span.stop <= p.stop for span in differing) for p in here)
        assert len(set(line.gold) - set(other.gold)) == len(here)


def test_precision_counts_each_damaged_place_once_among_as_many_suspects() -> None:
    places = [Place(0, 2, 4), Place(3, 0, 1)]
    assert precision(places, places) == 1
    assert precision([Place(0, 2, 3), Place(0, 3, 4), Place(3, 0, 1)], places) == 0.5
    assert precision([Place(1, 2, 4), Place(0, 4, 5)], places) == 0


def test_the_interval_of_five_values_is_students() -> None:
    low, high = interval(np.array([1.0, 2, 3, 4, 5]))
    assert (round(low, 3), round(high, 3)) == (1.037, 4.963)
