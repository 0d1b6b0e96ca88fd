import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.data.span_score import span_scores
from daguan.ensemble.span_counts import SpanCounter
from daguan.ensemble.weighting import SLACK, WeightedMean, tag_biases
from daguan.training.prediction import annotate
from noisy_members import SCHEME, noisy_data

NO_BIAS = (0.0,) * len(SCHEME.labels)
BIASES = st.lists(st.sampled_from([-1.5, -0.5, 0.0, 0.25, 2.0]), min_size=4, max_size=4).map(tuple)
WEIGHTS = st.lists(st.floats(0.125, 4) | st.just(0.0), min_size=3, max_size=3).filter(any).map(tuple)


def rescored(data, weights, biases):
    """(N,2) by decoding every line."""
    found = WeightedMean(SCHEME.labels, weights, biases).spans(data.gold, data.marginals)
    scores = span_scores(annotate(data.gold, found), data.gold)
    return np.array([(score.hits, score.predicted + score.gold) for score in scores])


@given(st.integers(0, 9), WEIGHTS, BIASES, st.floats(0.1, 4))
def test_counts_are_those_of_decoding_every_line(seed, weights, biases, noise):
    data = noisy_data((noise, 1.5, 2.5), lines=12, seed=seed)
    plain = SpanCounter(data.gold, data.marginals, SCHEME)
    biased = SpanCounter(data.gold, data.marginals, SCHEME, SLACK)
    assert np.array_equal(plain.counts(weights), rescored(data, weights, NO_BIAS))
    assert np.array_equal(biased.counts(weights), rescored(data, weights, NO_BIAS))
    assert np.array_equal(biased.counts(weights, tag_biases(biases)), rescored(data, weights, biases))


def test_few_tokens_are_looked_at_where_members_are_sure():
    data = noisy_data((0.5, 0.5), lines=50)
    counter = SpanCounter(data.gold, data.marginals, SCHEME)
    assert counter.counts((1.0, 1.0)).sum() > 0
    assert len(counter._lines) < 5


def test_lines_count_so_many_times():
    data = noisy_data((2.0, 2.5), lines=20)
    counter = SpanCounter(data.gold, data.marginals, SCHEME)
    times = np.random.default_rng(3).integers(0, 4, 20)
    hits, total = np.repeat(rescored(data, (1.0, 2.0), NO_BIAS), times, 0).sum(0)
    assert counter.f1(times.astype(float), (1.0, 2.0)) == pytest.approx(2 * hits / total)
    assert counter.f1(np.zeros(20), (1.0, 2.0)) == 0.0
