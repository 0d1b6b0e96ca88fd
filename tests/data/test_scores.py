import json
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOBES

from daguan.core.errors import DataError
from daguan.core.quantity import quantity
from daguan.core.types import Score, Sentence, Span
from daguan.data.bootstrap import bootstrap_interval, paired_gain, paired_gains
from daguan.data.format import format_labelled, parse_labelled
from daguan.data.scores import all_metrics, report
from daguan.data.span_score import check_comparable, span_score
from daguan.data.tags import TagScheme

SIZES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("oab")), max_size=12)
LINE_COUNTS = st.lists(st.builds(lambda h, w, m: Score(h, h + w, h + m), *[st.integers(0, 4)] * 3), min_size=1)


@st.composite
def two_annotations(draw):
    """The same line of a few repeated tokens, annotated twice."""
    tokens = tuple(draw(st.lists(st.sampled_from("12"), min_size=1, max_size=12)))
    return tuple(Sentence(tokens, spans_of(draw(SIZES), len(tokens))) for _ in range(2))


def spans_of(sizes, length):
    spans, start = [], 0
    for size, label in sizes:
        if label != "o" and start + size <= length:
            spans.append(Span(start, start + size, label))
        start += size
    return tuple(spans)


FEW = settings(max_examples=20)  # each report draws a thousand bootstrap samples
PAIRS = st.lists(two_annotations(), min_size=1, max_size=6)


def items_of(sentence, metric):
    """For the contest's metric: the distinct segments of the written line."""
    if metric == "span":
        return [f"{span.start}-{span.stop}/{span.label}" for span in sentence.gold]
    return sorted({segment for segment in format_labelled(sentence).split("  ") if not segment.endswith("/o")})


def by_hand(pairs, metric, label=""):
    """Counts by looking everything up in everything."""
    hits = predicted = gold = 0
    for pair in pairs:
        ours, theirs = ([i for i in items_of(side, metric) if i.endswith(label)] for side in pair)
        hits += sum(item in theirs for item in ours)
        predicted += len(ours)
        gold += len(theirs)
    return Score(hits, predicted, gold)


@pytest.mark.parametrize("metric", ["span", "contest"])
@FEW
@given(pairs=PAIRS)
def test_totals_and_types_are_those_counted_by_hand(metric, pairs):
    found = report(*zip(*pairs, strict=True), metric)
    assert found.total == by_hand(pairs, metric)
    labels = sorted({span.label for pair in pairs for sentence in pair for span in sentence.gold})
    assert found.by_type == {label: by_hand(pairs, metric, label) for label in labels}
    assert sum(found.by_type.values(), Score()) == found.total


@FEW
@given(PAIRS)
def test_the_score_that_chooses_models_is_the_span_metric(pairs):
    predicted, gold = zip(*pairs, strict=True)
    assert span_score(predicted, gold) == report(predicted, gold, "span").total


@FEW
@given(PAIRS)
def test_the_span_metric_is_that_of_seqeval_on_the_tags(pairs):
    scheme = TagScheme(("a", "b"))
    predicted, gold = (
        [[scheme.tags[tag] for tag in scheme.encode(len(side.tokens), side.gold)] for side in sides]
        for sides in zip(*pairs, strict=True)
    )
    theirs = precision_recall_fscore_support(
        gold, predicted, average="micro", mode="strict", scheme=IOBES, zero_division=0
    )
    ours = span_score(*zip(*pairs, strict=True))
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs[:3])


@FEW
@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_no_micro_score(pairs, random):
    mixed = random.sample(pairs, len(pairs))
    for metric in ("span", "contest"):
        one, other = (report(*zip(*order, strict=True), metric) for order in (pairs, mixed))
        assert (one.total, one.by_type) == (other.total, other.by_type)


@FEW
@given(PAIRS)
def test_a_line_is_its_own_best_answer(pairs):
    gold = [theirs for _, theirs in pairs]
    assume(any(sentence.gold for sentence in gold))
    scores = all_metrics(gold, gold)
    assert scores["span"]["f1"] == scores["contest"]["f1"] == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "span", "contest"),
    [
        ("1/a  1/o", "1/o  1/a", (0, 1, 1), (1, 1, 1)),  # the contest does not look at the position
        ("1/a  1/a  1/a", "1/a  1_1/o", (1, 3, 1), (1, 1, 1)),  # repeats in a line collapse
        ("1_2/a  3/o  1_2/a", "1_2/a  3_1_2/o", (1, 2, 1), (1, 1, 1)),
        ("1_2/a", "1/a  2/a", (0, 1, 2), (0, 1, 2)),  # another boundary
        ("1_2/a", "1_2/b", (0, 1, 1), (0, 1, 1)),  # another type
        ("1_2/o", "1_2/o", (0, 0, 0), (0, 0, 0)),  # nothing on either side adds nothing
        ("1_2/o", "1/a  2/o", (0, 0, 1), (0, 0, 1)),
        ("12/a", "1_2/a", (0, 1, 1), (0, 1, 1)),  # one token is not two
    ],
)
def test_both_metrics_by_hand(ours, theirs, span, contest):
    scores = all_metrics([parse_labelled(ours)], [parse_labelled(theirs)])
    for metric, counts in (("span", span), ("contest", contest)):
        assert tuple(scores[metric][name] for name in ("hits", "predicted", "gold")) == counts


def test_repeats_collapse_within_a_line_only():
    line = parse_labelled("1/a  1/a")
    assert report([line, line], [line, line], "contest").total == Score(2, 2, 2)
    assert report([line, line], [line, line], "span").total == Score(4, 4, 4)


def test_lines_without_entities_change_nothing():
    lines, empty = [parse_labelled("1/a  2/o  3/b")], [parse_labelled("7_8/o")]
    other = [parse_labelled("1/a  2_3/o")]
    for metric in ("span", "contest"):
        assert report(lines + empty * 5, other + empty * 5, metric).total == report(lines, other, metric).total


def test_nothing_at_all_is_zero_and_not_an_error():
    scores = all_metrics([parse_labelled("1/o")], [parse_labelled("1/o")])
    assert scores["span"] == scores["contest"]
    assert scores["span"] == {"p": 0, "r": 0, "f1": 0, "hits": 0, "predicted": 0, "gold": 0, "interval": [0, 0]}
    assert scores["by_type"] == {"span": {}, "contest": {}}


def test_the_json_holds_both_metrics_and_each_type():
    scores = all_metrics([parse_labelled("1/a  2/b")], [parse_labelled("1/a  2/c")])
    assert json.loads(json.dumps(scores)) == scores
    assert set(scores) == {"span", "contest", "by_type"}
    counts = {"p", "r", "f1", "hits", "predicted", "gold"}
    assert set(scores["span"]) == set(scores["contest"]) == counts | {"interval"}
    assert set(scores["by_type"]) == {"span", "contest"}
    for by_type in scores["by_type"].values():
        assert list(by_type) == ["a", "b", "c"]
        assert all(set(score) == counts for score in by_type.values())


@given(LINE_COUNTS)
def test_the_interval_is_deterministic_and_contains_the_point_estimate(lines):
    low, high = bootstrap_interval(lines, 200)
    assert (low, high) == bootstrap_interval(lines, 200)
    assert 0 <= low <= sum(lines, Score()).f1 <= high <= 1


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(1, 20))
def test_equal_lines_leave_no_doubt(hits, wrong, missed, times):
    score = Score(hits, hits + wrong, hits + missed)
    assert bootstrap_interval([score] * times, 50) == pytest.approx((score.f1, score.f1))


def test_more_lines_narrow_the_interval():
    lines = [Score(1, 1, 1), Score(0, 1, 1)]
    widths = [high - low for low, high in (bootstrap_interval(lines * times) for times in (5, 50, 500))]
    assert widths == sorted(widths, reverse=True)
    assert 0 < widths[2] < widths[0] / 5


def test_lines_of_other_tokens_or_number_are_not_compared():
    one, two, three = (parse_labelled(line) for line in ("1/a", "2/o", "3/o"))
    check_comparable([one, two], [one, two], ("pred", "gold"))
    with pytest.raises(DataError) as error:
        check_comparable([one, two], [one, three], ("pred", "gold"))
    assert str(error.value) == "pred:2: expected the tokens of gold:2, got others"
    for few, many in (([one], [one, two]), ([one, two], [one])):
        with pytest.raises(DataError) as error:
            check_comparable(few, many, ("pred", "gold"))
        assert str(error.value) == f"pred: expected {quantity(len(many), 'line')} as in gold, got {len(few)}"


LINES_TO_DRAW = st.lists(st.tuples(*(st.integers(0, 2),) * 3), min_size=1, max_size=3)


def line_score(hits, more_predicted, more_gold):
    return Score(hits, hits + more_predicted, hits + more_gold)


@settings(max_examples=12)
@given(LINES_TO_DRAW, st.randoms(use_true_random=False))
def test_paired_gain_is_that_of_drawing_every_sample(lines, random):
    """n lines have nⁿ equally likely samples: the share of those without a gain is the p-value."""
    ours = [line_score(*line) for line in lines]
    theirs = [line_score(random.randint(0, one.hits), random.randint(0, 2), 0) for one in ours]

    def gain(sample):
        return sum((ours[i] for i in sample), Score()).f1 - sum((theirs[i] for i in sample), Score()).f1

    gains = [gain(sample) for sample in product(range(len(lines)), repeat=len(lines))]
    found = paired_gain(ours, theirs)
    assert found.f1 == pytest.approx(gain(range(len(lines))))
    exact = np.mean([one <= 1e-12 for one in gains])
    assert found.p_value == pytest.approx(exact, abs=0.03)
    assert min(gains) - 1e-9 <= found.interval[0] <= found.interval[1] <= max(gains) + 1e-9


def test_against_itself_there_is_no_gain_and_twice_is_the_same():
    rng = np.random.default_rng(3)
    ours, theirs = ([line_score(*line) for line in rng.integers(0, 4, (50, 3)).tolist()] for _ in range(2))
    assert paired_gain(ours, ours).to_json() == {"f1": 0.0, "interval": [0.0, 0.0], "p": 1.0}
    assert paired_gain(ours, theirs) == paired_gain(ours, theirs)
    one, other = paired_gain(ours, theirs), paired_gain(theirs, ours)
    assert one.f1 == -other.f1
    assert one.interval == pytest.approx([-other.interval[1], -other.interval[0]])
    assert one.p_value + other.p_value >= 1


def test_gains_over_several_are_those_over_each():
    rng = np.random.default_rng(5)
    ours, *others = ([line_score(*line) for line in rng.integers(0, 4, (40, 3)).tolist()] for _ in range(4))
    assert paired_gains(ours, others) == [paired_gain(ours, theirs) for theirs in others]


def test_pairs_tell_more_than_two_intervals():
    """A line more each tenth line, on lines that differ much: surely better, though the intervals overlap."""
    rng = np.random.default_rng(4)
    theirs = [line_score(*line) for line in rng.integers(0, 9, (200, 3)).tolist()]
    ours = [Score(line.hits + (i % 10 == 0), line.predicted + 1, line.gold + 1) for i, line in enumerate(theirs)]
    theirs = [Score(line.hits, line.predicted + 1, line.gold + 1) for line in theirs]
    assert bootstrap_interval(ours)[0] < bootstrap_interval(theirs)[1]
    assert paired_gain(ours, theirs).p_value < 0.001
