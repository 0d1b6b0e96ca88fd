"""Calibration of spans' probabilities, by brute force and where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.types import Sentence, Span
from daguan.data.calibration import BINS, calibration, reliability

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40)


@given(PAIRS)
def test_the_error_is_the_mean_gap_of_the_bins(pairs: list[tuple[float, bool]]) -> None:
    found = reliability(np.array([p for p, _ in pairs]), np.array([right for _, right in pairs], bool))
    expected = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        here = [(p, right) for p, right in pairs if int(p * BINS) == number or (number == BINS - 1 and p == 1)]
        if here:
            mean, share = np.mean([p for p, _ in here]), np.mean([right for _, right in here])
            expected += len(here) * abs(mean - share) / len(pairs)
            (bin,) = (one for one in found["bins"] if (one["low"], one["high"]) == (low, high))
            assert (bin["entities"], bin["probability"], bin["right"]) == (len(here), mean, share)
    assert found["ece"] == pytest.approx(expected, abs=1e-12)
    assert sum(one["entities"] for one in found["bins"]) == found["entities"] == len(pairs)
    assert 0 <= found["ece"] <= 1


def test_true_probabilities_have_a_small_error_and_overconfident_ones_a_large_one() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    right = rng.uniform(size=20_000) < p
    assert reliability(p, right)["ece"] < 0.02
    assert reliability(np.ones(20_000), right)["ece"] == pytest.approx(0.5, abs=0.02)


def test_a_span_is_right_by_line_place_and_type() -> None:
    tokens = ("7", "8", "9")
    gold = [Sentence(tokens, (Span(0, 2, "a"),)), Sentence(tokens, ()), Sentence(tokens, (Span(0, 1, "b"),))]
    predicted = [
        Sentence(tokens, (Span(0, 2, "a", 0.9), Span(2, 3, "b", 0.6))),
        Sentence(tokens, (Span(0, 2, "a", 0.7),)),
        Sentence(tokens, (Span(0, 1, "b", 0.8),)),
    ]
    found = calibration(predicted, gold)
    assert found["total"]["entities"] == 4
    assert found["total"]["right"] == 0.5
    assert {label: one["right"] for label, one in found["by_type"].items()} == {"a": 0.5, "b": 0.5}
    assert found["by_type"]["a"]["probability"] == pytest.approx(0.8)
    assert found["total"]["ece"] == pytest.approx((abs(0.9 - 1) + 0.6 + 0.7 + abs(0.8 - 1)) / 4)


def test_without_predictions_there_is_no_error() -> None:
    found = calibration([Sentence(("7",), ())], [Sentence(("7",), (Span(0, 1, "a"),))])
    assert found == {"total": {"entities": 0, "probability": 0.0, "right": 0.0, "ece": 0.0, "bins": []}, "by_type": {}}
