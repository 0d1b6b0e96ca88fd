"""Probabilities of entities beside those of a small CRF, by brute force over all its legal tag sequences."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from daguan.core.types import Span
from daguan.data.span_probabilities import span_probability, with_probabilities
from daguan.data.tags import B, E, I, TagScheme

SCHEME = TagScheme(("a", "b"))
LENGTH = 4
LEGAL = [
    tags
    for tags in product(range(len(SCHEME)), repeat=LENGTH)
    if SCHEME.may_start[tags[0]]
    and SCHEME.may_end[tags[-1]]
    and all(SCHEME.allowed[one, other] for one, other in pairwise(tags))
]
SPANS = [Span(i, j, label) for i in range(LENGTH) for j in range(i + 1, LENGTH + 1) for label in SCHEME.labels]
TAGS = np.array(LEGAL)  # (N,T)
DECODED = [SCHEME.decode(tags) for tags in LEGAL]
HOLDS = {span: np.array([span in found for found in DECODED]) for span in SPANS}


def distribution(seed: int, scale: float, tied: bool) -> NDArray[np.float64]:
    """P(sequence) of a random CRF; `tied`: what may follow an open entity does not depend on B or I."""
    rng = np.random.default_rng(seed)
    emissions, moves = scale * rng.normal(size=(LENGTH, len(SCHEME))), scale * rng.normal(size=(len(SCHEME),) * 2)
    if tied:
        for label in range(len(SCHEME.labels)):
            moves[1 + 4 * label + I] = moves[1 + 4 * label + B]
    scores = emissions[np.arange(LENGTH), TAGS].sum(1) + moves[TAGS[:, :-1], TAGS[:, 1:]].sum(1)
    weights = np.exp(scores - scores.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def marginals(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    table = np.zeros((LENGTH, len(SCHEME)))
    np.add.at(table, (np.arange(LENGTH), TAGS), probs[:, None])
    return table


def exact(probs: NDArray[np.float64], span: Span) -> float:
    return float(probs[HOLDS[span]].sum())


SEEDS = st.integers(0, 10_000)


@given(SEEDS, st.floats(0.1, 3))
def test_it_is_exact_where_it_does_not_matter_where_an_entity_began(seed: int, scale: float) -> None:
    probs = distribution(seed, scale, tied=True)
    table = marginals(probs)
    for span in SPANS:
        assert span_probability(table, span, SCHEME) == pytest.approx(exact(probs, span), abs=1e-9)


@given(SEEDS, st.floats(0.1, 3))
def test_of_any_crf_it_is_near_and_within_the_bounds(seed: int, scale: float) -> None:
    probs = distribution(seed, scale, tied=False)
    table = marginals(probs)
    errors = []
    for span in SPANS:
        found, truth = span_probability(table, span, SCHEME), exact(probs, span)
        needed = [table[t, tag] for t, tag in enumerate(SCHEME.encode(LENGTH, [span])) if span.start <= t < span.stop]
        assert max(0, sum(needed) - (len(needed) - 1)) - 1e-9 <= found <= min(needed) + 1e-9
        errors.append(abs(found - truth))
        if span.stop - span.start == 1 or (span.start == 0 and span.stop == 2):  # no entity is open before
            assert found == pytest.approx(truth, abs=1e-9)
    assert max(errors) < 0.25
    assert np.mean(errors) < 0.03


@given(SEEDS)
def test_the_spans_that_begin_at_a_token_share_its_probability_of_beginning(seed: int) -> None:
    table = marginals(distribution(seed, 1.0, tied=False))
    for start in range(LENGTH):
        for number, label in enumerate(SCHEME.labels):
            spans = [span for span in SPANS if (span.start, span.label) == (start, label) and span.stop > start + 1]
            total = sum(span_probability(table, span, SCHEME) for span in spans)
            assert total == pytest.approx(table[start, 1 + 4 * number + B], abs=1e-9)


def test_impossible_spans_have_probability_0_and_half_precision_does_little() -> None:
    table = np.zeros((3, len(SCHEME)), np.float16)
    table[:, 0] = 1
    assert span_probability(table, Span(0, 3, "a"), SCHEME) == 0
    table[:] = 0
    table[[0, 1, 2], [1 + B, 1 + I, 1 + E]] = 0.9, 0.9, 0.9
    assert span_probability(table, Span(0, 3, "a"), SCHEME) == pytest.approx(0.9, abs=1e-3)


def test_each_line_s_spans_get_theirs() -> None:
    table = marginals(distribution(1, 1.0, tied=False))
    spans = [(SPANS[0], SPANS[-1]), (), (SPANS[3],)]
    found = with_probabilities(spans, [table] * 3, SCHEME)
    assert found == spans
    assert [[one.probability for one in line] for line in found] == [
        [span_probability(table, one, SCHEME) for one in line] for line in spans
    ]
