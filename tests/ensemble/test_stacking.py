import zlib
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daguan.core.types import Sentence, Span
from daguan.data.decoding import decode_lines
from daguan.data.span_score import span_score
from daguan.data.text_index import TextIndex
from daguan.ensemble import stacking
from daguan.ensemble.blending import nested_spans
from daguan.ensemble.combination import OutOfFoldData
from daguan.ensemble.span_candidates import NO_RIVAL, SpanCandidates, _best_rivals, _neighbours, lexicon_features
from daguan.ensemble.stacking import SpanClassifier, Stack, StackLearner, _regress, half_expected_f1
from daguan.training.prediction import annotate
from noisy_members import SCHEME, ids_of, noisy_answers, noisy_data, with_other_gold


def test_the_features_of_a_line_know_no_gold_of_its_fold():
    """Nor, for a fold that is left out, does anything know that fold's."""
    data = noisy_data((2.0, 2.5))
    learner, folds = StackLearner(data), data.fold_of_line
    other = StackLearner(with_other_gold(data, fold=1))
    everything = np.ones(len(folds), bool)
    own = folds[learner._candidates.lines] == 1
    assert np.array_equal(learner.features(everything)[own], other.features(everything)[own])
    assert not np.array_equal(learner.features(everything)[~own], other.features(everything)[~own])
    assert np.array_equal(learner.features(folds != 1), other.features(folds != 1))


def test_each_proposal_is_there_once_and_every_decode_is_proposed():
    data = noisy_data((2.0, 3.0))
    candidates = SpanCandidates.of(data.marginals, SCHEME)
    keys = list(zip(candidates.lines.tolist(), candidates.spans, strict=True))
    assert len(set(keys)) == len(keys) == len(candidates.features)
    for member in data.marginals:
        decoded = {(line, span) for line, spans in enumerate(decode_lines(member, SCHEME)) for span in spans}
        assert decoded <= set(keys)


def test_what_a_line_gets_does_not_depend_on_the_lines_beside_it():
    """Else a file would be labelled otherwise in chunks."""
    data = noisy_data((2.0, 2.5))
    stack = StackLearner(data).fit(np.ones(60, bool))
    whole = stack.spans(data.gold, data.marginals)
    for low, high in ((0, 1), (1, 60)):
        part = [member[low:high] for member in data.marginals]
        assert stack.spans(data.gold[low:high], part) == whole[low:high]


def test_a_lexicon_tells_what_members_cannot():
    """Both entities of a pair have one string, and the members are blind to one that is never an entity."""
    plain = noisy_data((3.0, 3.0), lines=150)
    f1 = {}
    for name, gold in (("known", plain.gold), ("new", [_renamed(line) for line in plain.gold])):
        data = replace(plain, gold=gold)
        stack = StackLearner(data).fit(plain.fold_of_line != 0)
        lines = np.flatnonzero(plain.fold_of_line == 0).tolist()
        sentences = [gold[line] for line in lines]
        found = stack.spans(sentences, [[member[line] for line in lines] for member in plain.marginals])
        f1[name] = span_score(annotate(sentences, found), sentences).f1
    assert f1["known"] > f1["new"] + 0.02


def test_of_two_folds_the_one_that_is_kept_still_teaches_its_lexicon():
    """A line's features know no gold of its own, nor of the fold that is left out."""
    data = noisy_data((3.0, 3.0), lines=150)
    data = replace(data, fold_of_line=data.fold_of_line % 2)
    kept = data.fold_of_line == 0
    learner = StackLearner(data)
    width = learner._candidates.features.shape[1]
    assert learner.features(kept)[kept[learner._candidates.lines], width:].any()
    assert any(learner.fit(kept).classifier.coefficients[width:])
    other = StackLearner(with_other_gold(data, fold=1))
    assert np.array_equal(learner.features(kept), other.features(kept))
    line = int(learner._candidates.lines[0])
    gold = [Sentence(of.tokens, ()) if n == line else of for n, of in enumerate(data.gold)]
    without = StackLearner(replace(data, gold=gold)).features(np.ones(150, bool))
    own = learner._candidates.lines == line
    assert np.array_equal(learner.features(np.ones(150, bool))[own], without[own])


def _renamed(line: Sentence) -> Sentence:
    """No string stands in two lines."""
    return Sentence(tuple(f"{token}{id(line)}" for token in line.tokens), line.spans)


def test_lexicon_features_of_known_counts():
    counts = np.array([[3, 1, 6], [0, 0, 0]])  # 3 as the first type, 1 as the second, 6 in all
    found = lexicon_features(counts, np.array([0, 1]))
    assert np.allclose(found[0], [1, np.log(4), np.log(2), np.log(3), 0.5, 1 / 6])
    assert not found[1].any()


def test_members_that_are_always_right_or_find_nothing_leave_nothing_to_learn():
    sure = noisy_data((0.01,), lines=12)
    stack = StackLearner(sure).fit(np.ones(12, bool))
    assert stack.spans(sure.gold, sure.marginals) == [line.gold for line in sure.gold]
    outside = np.eye(len(SCHEME), dtype=np.float16)[0]
    blind = replace(sure, marginals=[[np.tile(outside, (len(line.tokens), 1)) for line in sure.gold]])
    assert StackLearner(blind).fit(np.ones(12, bool)).spans(blind.gold, blind.marginals) == [()] * 12


def test_of_many_proposals_some_lines_are_learnt_from_and_the_lexicon_is_of_all(monkeypatch):
    data = noisy_data((2.0, 2.5), lines=150)
    learner = StackLearner(data)
    whole, everything = learner.fit(np.ones(150, bool)), len(learner._candidates.lines)
    read = []
    monkeypatch.setattr(
        stacking, "_regress", lambda features, right: read.append(len(right)) or _regress(features, right)
    )
    for share in (1, 2, 3):
        monkeypatch.setattr(stacking, "ENOUGH", everything / share)
        part = learner.fit(np.ones(150, bool))
        assert read.pop() == pytest.approx(everything / share, rel=0.25)
        assert part.lexicon.to_json() == whole.lexicon.to_json()
        assert (part.to_json() == whole.to_json()) == (share == 1)


def test_what_the_text_tells_of_strings_is_known_to_the_judges():
    """Members alike on all spans; those whose string stands in one context alone are never entities."""
    rng = np.random.default_rng(3)
    gold, lines = [], []
    for number in range(400):
        word = "xy"[number % 2]
        beside = ("l", "r") if word == "y" else tuple(f"{n}" for n in rng.integers(0, 40, 2))
        tokens = (beside[0], f"{word}1{number % 20}", f"{word}2{number % 20}", beside[1])
        lines.append(tokens)
        gold.append(Sentence(tokens, (Span(1, 3, "a"),) if word == "x" else ()))
    shared = noisy_answers([Sentence(line.tokens, (Span(1, 3, "a"),)) for line in gold], 1.5, rng)
    folds = np.array([zlib.crc32(line[1].encode()) % 3 for line in lines])  # no string in two of them
    known, blind = (OutOfFoldData(gold, folds, [shared], SCHEME, 0, text) for text in (TextIndex(*ids_of(gold)), None))
    f1 = [span_score(annotate(gold, nested_spans(StackLearner(one), one)), gold).f1 for one in (known, blind)]
    assert f1[0] > 0.95
    assert f1[1] < 0.8


def test_json_gives_back_the_same_answers():
    data = noisy_data((2.0, 2.5))
    stack = StackLearner(data).fit(np.ones(60, bool))
    again = Stack.from_json(stack.to_json(), lambda: data.text)
    assert again.spans(data.gold, data.marginals) == stack.spans(data.gold, data.marginals)
    assert again.to_json() == stack.to_json()


def test_what_does_not_vary_but_by_rounding_has_no_weight():
    """Else its weight is huge, and the next line that differs in it is ruled by it."""
    rng = np.random.default_rng(0)
    telling = rng.normal(size=200)
    constant = -3.5 + 1e-13 * rng.normal(size=200)
    coefficients, intercept = _regress(np.stack([telling, constant], 1), telling + rng.normal(size=200) > 0)
    assert coefficients[1] == 0
    assert coefficients[0] > 0.5
    assert abs(intercept) < 1


def test_a_span_without_rivals_is_the_same_whatever_other_lines_say():
    bounds = np.array([(0, 0, 1, 0), (0, 0, 2, 0), (0, 3, 4, 1), (1, 0, 1, 0)])  # lines, starts, stops, types
    for worst in (-1.0, -9.0):
        odds = np.array([1.0, 2.0, 3.0, worst])
        rivals, overlapping = _best_rivals(bounds, odds)
        assert rivals.tolist() == [2.0, 1.0, NO_RIVAL, NO_RIVAL]
        assert overlapping.tolist() == [True, True, False, False]


@given(st.data())
def test_nearness_is_the_best_of_all_other_spans_of_the_line(data):
    ends = st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(1, 3), st.sampled_from("ab"), st.floats(-5, 5))
    drawn = sorted(data.draw(st.lists(ends, max_size=8)))
    spans = [Span(start, start + length, label) for _, start, length, label, _ in drawn]
    lines, odds = np.array([d[0] for d in drawn], np.int64), np.array([d[4] for d in drawn], np.float64)
    bounds = [(line, span.start, span.stop, "ab".index(span.label)) for line, span in zip(lines, spans, strict=True)]
    found = _neighbours(np.array(bounds, np.int64).reshape(-1, 4), odds)
    assert found.shape == (len(spans), 3)
    for one, span in enumerate(spans):
        before, after, alike = [0.0], [0.0], [0.0]
        for other, rival in enumerate(spans):
            for side, gap in ((before, span.start - rival.stop), (after, rival.start - span.stop)):
                if lines[other] == lines[one] and gap >= 0:
                    side.append(1 / (1 + np.exp(-odds[other])) / (1 + gap))
                    alike += side[-1:] if rival.label == span.label else []
        assert found[one] == pytest.approx([max(before), max(after), max(alike)])


def test_a_span_that_only_one_member_nearly_finds_is_a_candidate():
    """The mean with a bias finds it no more, when others are sure that there is none."""
    nearly, never = np.zeros((2, 1, len(SCHEME)), np.float16)
    nearly[0, [0, 4]], never[0, 0] = (0.9, 0.1), 1.0
    assert SpanCandidates.of([[nearly], *[[never]] * 30], SCHEME).spans == [Span(0, 1, SCHEME.labels[0])]


def test_features_of_some_lines_are_those_among_all():
    data = noisy_data((2.0, 2.5))
    whole = SpanCandidates.of(data.marginals, SCHEME)
    part = SpanCandidates.of([member[20:25] for member in data.marginals], SCHEME)
    here = (whole.lines >= 20) & (whole.lines < 25)
    assert np.array_equal(part.features, whole.features[here])
    assert part.spans == [span for span, is_here in zip(whole.spans, here, strict=True) if is_here]


@settings(max_examples=50)
@given(st.lists(st.floats(-6, 6), min_size=1, max_size=8), st.floats(0.2, 1))
def test_no_choice_of_spans_has_a_better_expected_f1_than_those_above_the_threshold(odds, coverage):
    """And the threshold is half of that F1, as Lipton et al. prove."""
    right = 1 / (1 + np.exp(-np.array(odds)))

    def f1(taken: np.ndarray) -> float:
        return 2 * right[taken].sum() / (taken.sum() + right.sum() / coverage)

    threshold = half_expected_f1(np.array(odds), coverage)
    found = f1(np.array(odds) > threshold)
    choices = np.array(list(product([False, True], repeat=len(odds))))
    assert found == pytest.approx(max(map(f1, choices)))
    assert 1 / (1 + np.exp(-threshold)) == pytest.approx(found / 2)


def test_of_spans_that_are_certain_the_threshold_is_half_of_the_f1_of_taking_them_all():
    odds = np.array([40.0] * 6 + [-40.0] * 9)
    assert half_expected_f1(odds, 1.0) == pytest.approx(0)
    assert half_expected_f1(odds, 0.5) == pytest.approx(np.log(0.5))  # 6 of 12 found: F1 2/3
    assert half_expected_f1(odds, 0.0) == half_expected_f1(odds[:0], 1.0) == 0


def test_the_threshold_falls_where_members_know_less_and_nothing_else_is_adapted():
    data, hard = noisy_data((1.5, 2.0)), noisy_data((3.5, 3.5), seed=1)
    stack = StackLearner(data).fit(np.ones(60, bool))
    easy, adapted = stack.adapted_to(data.gold, data.marginals), stack.adapted_to(hard.gold, hard.marginals)
    assert adapted.threshold < easy.threshold
    assert replace(adapted, threshold=easy.threshold) == easy


def test_a_stack_that_is_fitted_to_some_folds_is_adapted_to_the_other_ones():
    data = noisy_data((2.0, 2.5))
    stack, held_out = StackLearner(data).fit(data.fold_of_line != 1), np.flatnonzero(data.fold_of_line == 1).tolist()
    marginals = [[member[line] for line in held_out] for member in data.marginals]
    again = stack.adapted_to([data.gold[line] for line in held_out], marginals)
    assert again.threshold == pytest.approx(stack.threshold)


def test_odds_are_halfway_between_the_regression_and_the_trees():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 4))
    classifier = SpanClassifier.fit(features, features[:, 0] * features[:, 1] > 0)
    assert classifier.trees is not None
    by_line = features @ np.array(classifier.coefficients) + classifier.intercept
    assert classifier.odds(features) == pytest.approx((by_line + classifier.trees.odds(features)) / 2)
    assert (np.abs(classifier.trees.odds(features) - by_line) > 0.1).any()
