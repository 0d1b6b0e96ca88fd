"""Windows: prediction answers each token once; training loses no entity that fits."""

from dataclasses import astuple
from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daguan.core.types import Sentence, Span
from daguan.data.batches.windows import stitch, training_parts, windows_of

LAW = examples(deadline=None, max_examples=200)


@st.composite
def cuttings(draw, longest=30):
    """(costs, size, overlap) of a line to be cut; no token is longer than `longest` or the window."""
    size = draw(st.integers(1, 30))
    costs = draw(st.lists(st.integers(1, min(size, longest)), min_size=1, max_size=150))
    return costs, size, draw(st.integers(0, size - 1))


@st.composite
def annotated(draw):
    """(sentence, costs, size, overlap): token i is spelt i, so that a piece tells where it comes from."""
    spans, reached = [], 0
    for gap, length, label in draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 14), st.sampled_from("ab")))):
        spans.append(Span(reached + gap, reached + gap + length, label))
        reached = spans[-1].stop
    length = reached + draw(st.integers(0 if spans else 1, 30))
    size = draw(st.integers(1, 20))
    costs = draw(st.lists(st.integers(1, draw(st.integers(1, size))), min_size=length, max_size=length))
    return Sentence(tuple(map(str, range(length))), tuple(spans)), costs, size, draw(st.integers(0, size - 1))


def place_of(piece: Sentence) -> tuple[int, int]:
    """The range [start, stop) of the line that the piece is."""
    start = int(piece.tokens[0])
    assert piece.tokens == tuple(map(str, range(start, start + len(piece.tokens))))
    return start, start + len(piece.tokens)


def shifted(piece: Sentence) -> list[Span]:
    """The piece's spans in the line's positions."""
    start, _ = place_of(piece)
    return [Span(span.start + start, span.stop + start, span.label) for span in piece.gold]


@given(cuttings())
@LAW
def test_kept_ranges_cover_each_token_exactly_once_and_lie_in_their_windows(cutting):
    windows = windows_of(7, *cutting)
    assert [i for w in windows for i in range(w.keep_start, w.keep_stop)] == list(range(len(cutting[0])))
    assert all(w.start <= w.keep_start < w.keep_stop <= w.stop for w in windows)
    assert {w.line for w in windows} == {7}


@given(cuttings())
@LAW
def test_windows_are_as_long_as_they_can_be_and_share_the_overlap_as_far_as_the_next_token_fits(cutting):
    costs, size, overlap = cutting
    windows = windows_of(0, *cutting)
    for w in windows:
        assert sum(costs[w.start : w.stop]) <= size
        longer = sum(costs[w.start : w.stop + 1])
        assert w.stop == len(costs) or longer > size
    for left, right in pairwise(windows):
        assert left.start < right.start <= left.stop < right.stop
        shared = sum(costs[right.start : left.stop])
        assert shared >= overlap - max(costs) + 1 or shared + costs[left.stop] + costs[right.start - 1] > size


@given(cuttings(longest=1))
@LAW
def test_where_all_tokens_are_as_long_neighbours_share_the_overlap(cutting):
    length, size, overlap = len(cutting[0]), *cutting[1:]
    windows = windows_of(0, *cutting)
    assert all(w.stop - w.start == min(size, length) for w in windows)
    assert all(left.stop - right.start >= overlap for left, right in pairwise(windows))
    assert len(windows) == max(1, -(-(length - overlap) // (size - overlap)))
    for w in windows:  # a kept token is half the overlap away from every cut
        assert w.start == 0 or w.keep_start - w.start >= overlap // 2
        assert w.stop == length or w.stop - w.keep_stop >= overlap // 2


@given(cuttings())
@LAW
def test_stitched_answers_are_the_answer_for_the_line(cutting):
    whole = np.random.default_rng(0).random((len(cutting[0]), 3), dtype=np.float32)
    windows = windows_of(0, *cutting)
    assert (stitch(windows, [whole[w.start : w.stop] for w in windows]) == whole).all()


@given(cuttings())
@LAW
def test_only_the_answers_of_kept_ranges_are_used(cutting):
    windows = windows_of(0, *cutting)
    answers = []
    for number, w in enumerate(windows):
        answer = np.full((w.stop - w.start, 1), -1, dtype=np.float32)
        answer[w.keep_start - w.start : w.keep_stop - w.start] = number
        answers.append(answer)
    numbers = stitch(windows, answers)[:, 0]
    assert numbers.min() == 0
    assert (np.diff(numbers) >= 0).all()


@given(annotated())
@LAW
def test_every_entity_that_fits_stands_whole_in_a_piece_and_the_others_are_counted(case):
    sentence, costs, size, _ = case
    pieces, lost = training_parts(*case)
    fitting = {span for span in sentence.gold if sum(costs[span.start : span.stop]) <= size}
    assert {span for piece in pieces for span in shifted(piece)} == fitting
    assert lost == len(sentence.gold) - len(fitting)


@given(annotated())
@LAW
def test_no_piece_holds_a_part_of_an_entity(case):
    for piece in training_parts(*case)[0]:
        start, stop = place_of(piece)
        touched = [span for span in case[0].gold if span.start < stop and start < span.stop]
        assert shifted(piece) == touched


@given(annotated())
@LAW
def test_pieces_fit_and_cover_all_but_the_lost_entities(case):
    sentence, costs, size, _ = case
    places = [place_of(piece) for piece in training_parts(*case)[0]]
    assert all(sum(costs[start:stop]) <= size for start, stop in places)
    lost = {i for span in sentence.gold if sum(costs[span.start : span.stop]) > size for i in range(*astuple(span)[:2])}
    assert {i for place in places for i in range(*place)} == set(range(len(sentence.tokens))) - lost


@given(annotated())
@LAW
def test_a_line_that_fits_passes_unchanged(case):
    sentence, costs, _, overlap = case
    size = sum(costs)
    assume(overlap < size)
    assert training_parts(sentence, costs, size, overlap) == ([sentence], 0)


@given(cuttings(longest=1))
@LAW
def test_without_entities_neighbours_share_exactly_the_overlap(cutting):
    length, size, overlap = len(cutting[0]), *cutting[1:]
    pieces, lost = training_parts(Sentence(tuple(map(str, range(length))), ()), *cutting)
    places = [place_of(piece) for piece in pieces]
    assert lost == 0
    assert all(left[1] - right[0] == overlap for left, right in pairwise(places))
    assert all(stop - start == min(size, length) for start, stop in places[:-1])
