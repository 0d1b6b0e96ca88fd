from hypothesis import given
from hypothesis import strategies as st

from daguan.data.format import parse_labelled
from daguan.ensemble.lookup import replace_known_lines

LINE = st.sampled_from(["1_2/a", "1_2/b", "1/o  2/a", "3/a", "3/o"]).map(parse_labelled)


@given(st.lists(LINE, max_size=6), st.lists(LINE, max_size=6))
def test_a_known_line_is_answered_by_most_of_its_annotations_and_any_other_stays(answer, train):
    for before, after in zip(answer, replace_known_lines(answer, train), strict=True):
        votes = [line for line in train if line.tokens == before.tokens]
        most = max(map(votes.count, votes), default=0)
        winners = {line for line in votes if votes.count(line) == most}
        assert after == (winners.pop() if len(winners) == 1 else before)


def test_the_lines_of_train_are_their_own_answer():
    train = [parse_labelled("1_2/a"), parse_labelled("3/o")]
    assert replace_known_lines([parse_labelled("3/a"), parse_labelled("1_2/b"), parse_labelled("4/b")], train) == [
        train[1],
        train[0],
        parse_labelled("4/b"),
    ]
