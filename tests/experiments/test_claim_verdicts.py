"""The rule of verdicts: known numbers, and how often it is wrong where there is no effect."""

from __future__ import annotations

import math

import numpy as np
import pytest

from daguan.experiments.claims.verdict import AGAINST, HOLDS, NOT_SEEN, paired_interval, verdict_of


def test_the_interval_is_the_one_of_a_table_of_t() -> None:
    interval = paired_interval([1.0, 2.0, 3.0])
    half = 4.303 / math.sqrt(3)  # t of 0.975 with two degrees of freedom; the standard deviation is 1
    assert (interval.mean, interval.low, interval.high) == pytest.approx((2.0, 2 - half, 2 + half), abs=1e-3)


@pytest.mark.parametrize(
    ("differences", "sign", "verdict"),
    [
        ([1.0, 1.1, 0.9], 1, HOLDS),
        ([1.0, 1.1, 0.9], -1, AGAINST),
        ([-1.0, -1.1, -0.9], -1, HOLDS),
        ([1.0, 2.0, 3.0], 1, NOT_SEEN),
        ([2.0, 2.0, 2.0], 1, HOLDS),
        ([0.0, 0.0, 0.0], 1, NOT_SEEN),
        ([5.0], 1, NOT_SEEN),
    ],
)
def test_known_differences_get_known_verdicts(differences: list[float], sign: int, verdict: str) -> None:
    assert verdict_of(paired_interval(differences), sign) == verdict


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_without_an_effect_each_sign_is_seen_in_a_fortieth_of_the_runs(seeds: int) -> None:
    runs = 4000
    drawn = np.random.default_rng(0).normal(size=(runs, seeds))
    verdicts = [verdict_of(paired_interval(list(one)), 1) for one in drawn]
    for verdict in (HOLDS, AGAINST):
        assert verdicts.count(verdict) / runs == pytest.approx(0.025, abs=4 * math.sqrt(0.025 / runs))


def test_a_large_effect_is_seen() -> None:
    drawn = np.random.default_rng(1).normal(10, 1, size=(200, 3))
    seen = sum(verdict_of(paired_interval(list(one)), 1) == HOLDS for one in drawn)
    assert seen > 190
