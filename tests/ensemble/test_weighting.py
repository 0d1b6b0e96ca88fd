from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.types import Score
from daguan.data.decoding import decode_lines
from daguan.data.span_score import span_score
from daguan.ensemble.span_counts import SpanCounter
from daguan.ensemble.weighting import BIASES, MeanLearner, WeightedMean, WeightLearner, ensemble_selection, plain_mean
from daguan.training.prediction import annotate
from noisy_members import SCHEME, noisy_data

THRESHOLDS = partial(WeightLearner, weights=False, thresholds=True)
BOTH = partial(WeightLearner, thresholds=True)


def kept(data, fold=None):
    return data.fold_of_line != (-1 if fold is None else fold)


def score(combination: WeightedMean, data) -> Score:
    found = combination.spans(data.gold, data.marginals)
    return span_score(annotate(data.gold, found), data.gold)


@pytest.mark.parametrize("learner", [MeanLearner, WeightLearner])
def test_one_member_is_that_member(learner):
    alone = noisy_data((2.0,))
    found = learner(alone).fit(kept(alone)).spans(alone.gold, alone.marginals)
    assert found == decode_lines(alone.marginals[0], SCHEME)


@given(st.integers(0, 20), st.integers(1, 5))
def test_selection_is_never_below_the_best_alone_nor_below_the_best_start(seed, members):
    """Whatever the objective is."""
    rng = np.random.default_rng(seed)
    values: dict[tuple[float, ...], float] = {}

    def f1(weights):
        return values.setdefault(weights, round(float(rng.random()), 2))  # with ties

    chosen = ensemble_selection(f1, members)
    alone = [tuple(row) for row in np.eye(members).tolist()]
    assert f1(chosen) >= max(map(f1, alone))
    assert all(f1(tuple(np.add(chosen, one).tolist())) <= f1(chosen) for one in alone)


@pytest.mark.parametrize("learner", [WeightLearner, THRESHOLDS, BOTH])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_learnt_is_no_worse_where_it_was_learnt(learner, seed):
    data = noisy_data((1.5, 2.0, 3.0), seed=seed)
    f1 = score(learner(data).fit(kept(data)), data).f1
    assert f1 >= score(plain_mean(SCHEME.labels, 3), data).f1
    if learner is WeightLearner:
        counter = SpanCounter(data.gold, data.marginals, SCHEME)
        alone = [counter.f1(np.ones(60), tuple(row)) for row in np.eye(3).tolist()]
        assert f1 >= max(alone) - 1e-12


def test_a_member_of_noise_gets_little_weight():
    data = noisy_data((1.7, 1.7, 20.0), lines=150)
    weights = WeightLearner(data).fit(kept(data)).weights
    assert weights[2] < 0.1 * sum(weights)


def test_what_members_are_too_shy_of_gets_a_bias():
    data = noisy_data((2.0, 2.0), lines=150)
    outside = np.where(np.arange(len(SCHEME)) == 0, 20.0, 1.0)
    tilted = [[probs * outside for probs in member] for member in data.marginals]
    shy = [[(probs / probs.sum(1, keepdims=True)).astype(np.float16) for probs in member] for member in tilted]
    data = replace(data, marginals=shy)
    fitted = THRESHOLDS(data).fit(kept(data))
    assert 0 < np.mean(fitted.biases) <= max(BIASES)
    assert score(fitted, data).f1 > score(plain_mean(SCHEME.labels, 2), data).f1


def test_json_gives_back_the_same():
    fitted = WeightedMean(("a", "b"), (0.1, 1 / 3), (0.25, -1.0))
    assert WeightedMean.from_json(fitted.to_json(), pytest.fail) == fitted
