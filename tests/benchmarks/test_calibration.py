import numpy as np
import pytest
from benchmarks.calibration import calibration_error
from hypothesis import given
from hypothesis import strategies as st


def two_tags(confidence, tokens):
    """Tag 1 is likelier, by so much."""
    return np.tile([1 - confidence, confidence], (tokens, 1))


@given(st.floats(0.51, 1), st.integers(0, 40))
def test_of_one_confidence_it_is_how_far_the_share_that_is_right_lies_from_it(confidence, right):
    gold = [np.array([1] * right + [0] * (40 - right))]
    assert calibration_error([two_tags(confidence, 40)], gold) == pytest.approx(abs(right / 40 - confidence))


def test_what_one_bin_has_too_much_another_does_not_make_good():
    answers = [two_tags(0.6, 10), two_tags(0.9, 30)]
    gold = [np.ones(10, np.int64), np.repeat([1, 0], [24, 6])]  # all right of 6 of 10; 8 of 10 right of 9
    assert calibration_error(answers, gold) == pytest.approx((10 * 0.4 + 30 * 0.1) / 40)


def test_probabilities_that_come_true_as_often_as_they_say_have_none():
    rng = np.random.default_rng(1)
    probs = rng.dirichlet([1, 1, 1], 100_000)
    gold = (rng.random((len(probs), 1)) > probs.cumsum(1)).sum(1)
    assert calibration_error([probs], [gold]) < 0.01
    assert calibration_error([probs], [(gold + 1) % 3]) > 0.3
