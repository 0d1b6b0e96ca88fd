"""How sure each combination is of its marginals, by brute force; how far its members agree with it."""

from __future__ import annotations

import numpy as np
import pytest

from daguan.core.types import Span
from daguan.data.decoding import decode_lines
from daguan.data.lexicon import Lexicon
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.combination import min_confidence
from daguan.ensemble.labelling import combine_marginals
from daguan.ensemble.span_candidates import SpanCandidates
from daguan.ensemble.stacking import SpanClassifier, Stack
from daguan.ensemble.voting import Vote
from daguan.ensemble.weighting import WeightedMean, plain_mean
from noisy_members import SCHEME, noisy_data

METHOD = pytest.mark.parametrize("method", METHODS)
GIVEN = noisy_data((1.5, 2.5, 2.0), lines=45)


def fitted(method):
    return METHODS[method].load().learner(GIVEN).fit(np.ones(45, bool))


@METHOD
def test_what_is_judged_is_what_is_answered(method):
    combination = fitted(method)
    spans, confidences = combination.confident_spans(GIVEN.gold, GIVEN.marginals)
    assert spans == combination.spans(GIVEN.gold, GIVEN.marginals)
    assert confidences.shape == (45,)
    assert ((confidences >= 0) & (confidences <= 1)).all()
    assert len(set(confidences.tolist())) > (2 if method == "vote" else 20)


@METHOD
def test_a_line_is_judged_alike_alone_and_among_others(method):
    combination = fitted(method)
    whole = combine_marginals(GIVEN.gold, GIVEN.marginals, combination)
    parts = [
        verdict
        for low, high in ((0, 1), (1, 30), (30, 45))
        for verdict in combine_marginals(GIVEN.gold[low:high], [one[low:high] for one in GIVEN.marginals], combination)
    ]
    assert parts == whole


@pytest.mark.parametrize("biases", [(0.0,) * 4, (0.75, -0.5, 0.0, 1.5)])
def test_a_mean_is_as_sure_as_of_its_least_certain_token(biases):
    weights, odds = (1.0, 2.0, 1.0), np.exp(np.repeat(np.array([0.0, *biases]), [1, *[4] * len(biases)]))
    spans, confidences = WeightedMean(SCHEME.labels, weights, biases).confident_spans(GIVEN.gold, GIVEN.marginals)
    for line, found in enumerate(spans):
        tags = SCHEME.encode(len(GIVEN.gold[line].tokens), found)
        total = sum(w * member[line].astype(np.float64) for w, member in zip(weights, GIVEN.marginals, strict=True))
        total = total * odds / (total * odds).sum(1, keepdims=True)
        assert confidences[line] == pytest.approx(min(total[t, tag] for t, tag in enumerate(tags)), abs=1e-3)


@pytest.mark.parametrize("needed", [1, 2, 3])
def test_a_vote_is_as_sure_as_of_the_span_with_most_votes_against(needed):
    vote = Vote(SCHEME.labels, needed)
    spans, confidences = vote.confident_spans(GIVEN.gold, GIVEN.marginals)
    own = [decode_lines(member, SCHEME) for member in GIVEN.marginals]
    for line, found in enumerate(spans):
        against = [0]
        for span in {span for of_member in own for span in of_member[line]}:
            votes = sum(span in of_member[line] for of_member in own)
            against.append(3 - votes if span in found else votes)
        assert confidences[line] == pytest.approx(1 - max(against) / 3)


def test_a_stack_is_as_sure_as_of_its_least_certain_proposal():
    """By coefficients that read the plain mean's odds alone: P(right) is then the bound on the span's marginal."""
    candidates = SpanCandidates.of(GIVEN.marginals, SCHEME)
    own = candidates.features.shape[1]
    coefficients = (0.0, 0.0, 0.0, 1.0, *(0.0,) * (own - 4), *(0.0,) * 6)
    lexicon = Lexicon.of(GIVEN.gold, SCHEME.labels, np.zeros(45, np.int64))
    stack = Stack(SCHEME.labels, SpanClassifier(coefficients, 0.0, None), 0.0, 1.0, lexicon)
    spans, confidences = stack.confident_spans(GIVEN.gold, GIVEN.marginals)
    right = 1 / (1 + np.exp(-candidates.features[:, 3]))
    expected = np.ones(45)
    for line, span, p in zip(candidates.lines, candidates.spans, right, strict=True):
        expected[line] = min(expected[line], p if span in spans[line] else 1 - p)
    assert confidences == pytest.approx(expected)


def test_certain_members_are_certain_and_agree():
    sure = [[np.eye(len(SCHEME))[SCHEME.encode(len(s.tokens), s.gold)].astype(np.float16) for s in GIVEN.gold]] * 2
    for combination in (plain_mean(SCHEME.labels, 2), Vote(SCHEME.labels, 1)):
        found = combine_marginals(GIVEN.gold, sure, combination)
        assert [verdict.sentence for verdict in found] == GIVEN.gold
        assert {(verdict.confidence, verdict.agreement) for verdict in found} == {(1.0, 1.0)}


def test_nothing_to_decide_is_certain():
    assert min_confidence({}, ()) == 1
    span, other = Span(0, 1, "a"), Span(0, 2, "a")
    assert min_confidence({span: 0.9, other: 0.3}, (span,)) == 0.7
    assert min_confidence({span: 0.9, other: 0.0}, (span,)) == 0.9


@METHOD
def test_agreement_is_the_share_of_members_with_the_very_answer(method):
    combination = fitted(method)
    own = [decode_lines(member, SCHEME) for member in GIVEN.marginals]
    for line, verdict in enumerate(combine_marginals(GIVEN.gold, GIVEN.marginals, combination)):
        same = [of_member[line] == verdict.sentence.gold for of_member in own]
        assert verdict.agreement == pytest.approx(np.mean(same))
