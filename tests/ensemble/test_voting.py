from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from daguan.core.types import Sentence, Span
from daguan.data.decoding import decode_lines
from daguan.ensemble.combination import OutOfFoldData
from daguan.ensemble.voting import Vote, VoteLearner, count_votes, elect
from noisy_members import SCHEME, noisy_data


@pytest.mark.parametrize("members", [1, 2, 5])
def test_a_vote_of_identical_members_is_the_member(members):
    one = noisy_data((2.0,))
    same = replace(one, marginals=[*one.marginals] * members)
    expected = decode_lines(one.marginals[0], SCHEME)
    fitted = VoteLearner(same).fit(np.ones(60, bool))
    assert fitted.spans(same.gold, same.marginals) == expected
    for needed in range(1, members + 1):
        assert Vote(SCHEME.labels, needed).spans(same.gold, same.marginals) == expected


def test_as_many_votes_are_asked_as_the_kept_lines_need():
    """On half of the lines what all three members say is right, on the others whatever one of them says."""
    lines = [Sentence(("1", "2", "3", "4", "5"))] * 8
    said = [[Span(0, 1, "a"), Span(2, 3, "a")], [Span(0, 1, "a"), Span(4, 5, "b")], [Span(0, 1, "a")]]
    marginals = [[np.eye(len(SCHEME), dtype=np.float16)[SCHEME.encode(5, spans)]] * 8 for spans in said]
    rest = (Span(0, 1, "a"), Span(2, 3, "a"), Span(4, 5, "b"))
    gold = [Sentence(line.tokens, rest[: 1 if n < 4 else 3]) for n, line in enumerate(lines)]
    data = OutOfFoldData(gold, np.arange(8) // 4, marginals, SCHEME, 0, None)
    learner = VoteLearner(data)
    first = np.arange(8) < 4
    assert (learner.fit(first).needed, learner.fit(~first).needed) == (2, 1)  # 2 is nearest to half, and gives the same
    assert learner.fit(first).spans(lines, marginals) == [(Span(0, 1, "a"),)] * 8
    assert learner.fit(~first).spans(lines, marginals) == [rest] * 8


def test_what_is_elected_has_the_votes_and_the_order_of_members_is_nothing():
    data = noisy_data((1.5, 2.0, 2.5))
    votes = count_votes(data.marginals, SCHEME)
    for needed in (1, 2, 3):
        vote = Vote(SCHEME.labels, needed)
        found = vote.spans(data.gold, data.marginals)
        assert found == vote.spans(data.gold, data.marginals[::-1])
        assert all(of_line[span] >= needed for of_line, spans in zip(votes, found, strict=True) for span in spans)
        if needed > 1:  # more than half: none of them overlap
            expected = [{span for span, count in of_line.items() if count >= needed} for of_line in votes]
            assert [set(spans) for spans in found] == expected


def test_of_spans_that_overlap_the_one_with_more_votes_is_elected():
    long, short, apart = Span(0, 3, "a"), Span(1, 3, "a"), Span(5, 6, "b")
    votes = Counter({long: 2, short: 3, apart: 1})
    assert elect(votes, 1) == (short, apart)
    assert elect(votes, 2) == (short,)
    assert elect(votes, 4) == ()
