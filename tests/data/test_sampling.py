"""Lines drawn from a file: which ones, whatever their order."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daguan.data.sampling import sample_lines

LINES = [f"{number % 50}_{number % 7}" for number in range(500)]


def brute_force(lines, count, seed, excluded):
    """The same by the ranks of all distinct lines, each drawn alone."""
    distinct = sorted(set(lines) - set(excluded) - {""})
    order = sample_lines(distinct, len(distinct), seed)
    return order[:count]


@given(st.lists(st.sampled_from(["", *LINES])), st.integers(0, 40), st.integers(0, 3), st.sets(st.sampled_from(LINES)))
def test_distinct_lines_that_are_neither_empty_nor_excluded(lines, count, seed, excluded):
    found = sample_lines(iter(lines), count, seed, excluded)
    candidates = set(lines) - excluded - {""}
    assert len(set(found)) == len(found) == min(count, len(candidates))
    assert set(found) <= candidates
    assert found == brute_force(lines, count, seed, excluded)


@given(st.permutations(LINES[:60]), st.integers(0, 60))
def test_neither_order_nor_repetition_plays_a_part_and_fewer_are_the_first(lines, count):
    whole = sample_lines(LINES[:60], 60, seed=1)
    assert sample_lines([*lines, *lines[:20]], count, seed=1) == whole[:count]


def test_every_line_is_drawn_as_often_as_another():
    """200 draws of 10 of 50: 40 each, give or take 5 standard deviations."""
    lines = [str(number) for number in range(50)]
    counts = Counter(line for seed in range(200) for line in sample_lines(lines, 10, seed))
    assert len(counts) == 50
    assert np.abs(np.array([*counts.values()]) - 40).max() < 5 * np.sqrt(200 * 0.2 * 0.8)
    assert sample_lines(lines, 10, seed=1) == sample_lines(lines, 10, seed=1) != sample_lines(lines, 10, seed=2)
