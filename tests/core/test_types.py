from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.types import Score, Sentence, Span, labels_of

COUNTS = st.tuples(*[st.integers(0, 20)] * 3)


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (2, 2), (2, 1), (-1, 1), (-2, -1)])
def test_an_empty_or_negative_span_cannot_be_built(start, stop):
    with pytest.raises(ValueError, match=r"expected 0 <= start < stop, got \["):
        Span(start, stop, "a")


@pytest.mark.parametrize(
    "spans",
    [
        (Span(0, 2, "a"), Span(1, 3, "a")),  # overlapping
        (Span(2, 3, "a"), Span(0, 1, "a")),  # unsorted
        (Span(0, 1, "a"), Span(0, 1, "b")),  # two labels on one token
        (Span(0, 3, "a"), Span(1, 2, "b")),  # nested
        (Span(2, 4, "a"),),  # past the end
        (Span(3, 4, "a"),),
    ],
)
def test_a_sentence_with_impossible_spans_cannot_be_built(spans):
    with pytest.raises(ValueError, match=r"expected .*spans"):
        Sentence(("1", "2", "3"), spans)


SEGMENTS = st.lists(
    st.tuples(st.lists(st.sampled_from("12"), min_size=1, max_size=3).map(tuple), st.sampled_from([None, "a", "b"])),
    min_size=1,
    max_size=6,
)


@given(SEGMENTS, st.data())
def test_a_sentence_is_its_segments_and_its_parts_hold_whole_spans(segments, data):
    sentence = Sentence.of(segments)
    assert sentence.tokens == tuple(token for tokens, _ in segments for token in tokens)
    assert [s for s in sentence.segments if s[1]] == [s for s in segments if s[1]]
    assert Sentence.of(sentence.segments) == sentence
    assert not any(one[1] is other[1] is None for one, other in pairwise(sentence.segments))
    start = data.draw(st.integers(0, len(sentence.tokens) - 1))
    stop = data.draw(st.integers(start + 1, len(sentence.tokens)))
    part = sentence.part(start, stop)
    assert part.tokens == sentence.tokens[start:stop]
    whole = [span for span in sentence.gold if start <= span.start and span.stop <= stop]
    assert [Span(s.start + start, s.stop + start, s.label) for s in part.gold] == whole


def test_a_sentence_without_tokens_cannot_be_built():
    with pytest.raises(ValueError, match="at least one token"):
        Sentence(())


def test_spans_may_touch_each_other_and_both_ends():
    spans = (Span(0, 1, "a"), Span(1, 3, "a"))
    assert Sentence(("1", "2", "3"), spans).gold == spans


def test_a_sentence_nobody_annotated_is_not_one_without_entities():
    assert Sentence(("1",)) != Sentence(("1",), ())
    with pytest.raises(AssertionError):
        _ = Sentence(("1",)).gold


def test_values_cannot_be_changed():
    with pytest.raises(AttributeError):
        Span(0, 1, "a").stop = 0
    with pytest.raises(AttributeError):
        Sentence(("1",)).tokens = ()


@given(st.lists(COUNTS))
def test_scores_add_count_by_count(counts):
    total = sum((Score(*each) for each in counts), Score())
    assert (total.hits, total.predicted, total.gold) == tuple(sum(each[i] for each in counts) for i in range(3))


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(hits, wrong, missed):
    score = Score(hits, hits + wrong, hits + missed)
    both = score.precision + score.recall
    assert score.f1 == pytest.approx(2 * score.precision * score.recall / both if both else 0.0)


@pytest.mark.parametrize(
    ("score", "ratios"),
    [
        (Score(0, 0, 0), (0, 0, 0)),
        (Score(0, 0, 3), (0, 0, 0)),
        (Score(0, 3, 0), (0, 0, 0)),
        (Score(2, 2, 2), (1, 1, 1)),
        (Score(1, 2, 4), (1 / 2, 1 / 4, 1 / 3)),
    ],
)
def test_ratios_by_hand(score, ratios):
    assert (score.precision, score.recall, score.f1) == pytest.approx(ratios)


def test_labels_are_sorted_and_distinct():
    sentences = [Sentence(("1", "2"), (Span(0, 1, "c"), Span(1, 2, "a"))), Sentence(("1",), (Span(0, 1, "c"),))]
    assert labels_of(sentences) == ("a", "c")
