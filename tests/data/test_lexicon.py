import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.types import Sentence, Span
from daguan.data.lexicon import Lexicon

LABELS = ("a", "b")


@st.composite
def sentences(draw):
    tokens = draw(st.lists(st.sampled_from("xyz"), min_size=1, max_size=8))
    spans, reached = [], 0
    while reached < len(tokens) and draw(st.booleans()):
        start = draw(st.integers(reached, len(tokens) - 1))
        reached = draw(st.integers(start + 1, len(tokens)))
        spans.append(Span(start, reached, draw(st.sampled_from(LABELS))))
    return Sentence(tuple(tokens), tuple(spans))


LINES = st.lists(st.tuples(sentences(), st.integers(0, 2)), min_size=1, max_size=6)


def lexicon_of(lines):
    return Lexicon.of([line for line, _ in lines], LABELS, np.array([group for _, group in lines]))


@given(LINES)
def test_counts_are_those_of_looking_at_every_stretch(lines):
    lexicon = lexicon_of(lines)
    entities = {line.tokens[span.start : span.stop] for line, _ in lines for span in line.gold}
    assert set(lexicon.numbers) == entities
    for string in entities:
        expected = np.zeros((lexicon.counts.shape[1], 3), int)
        for line, group in lines:
            for start in range(len(line.tokens) - len(string) + 1):
                expected[group, 2] += line.tokens[start : start + len(string)] == string
            for span in line.gold:
                expected[group, LABELS.index(span.label)] += line.tokens[span.start : span.stop] == string
        assert np.array_equal(lexicon.counts[lexicon.number(string)], expected)


@given(LINES, st.sets(st.integers(0, 2), min_size=1))
def test_some_groups_are_as_if_there_were_no_others(lines, groups):
    mask = np.array([group in groups for group in range(max(group for _, group in lines) + 1)])
    some = [(line, 0) for line, group in lines if group in groups]
    only = lexicon_of(lines).restricted_to(mask)
    assert set(only.numbers) == (set(lexicon_of(some).numbers) if some else set())
    for string in only.numbers:
        expected = lexicon_of(some).counts[lexicon_of(some).number(string), 0]
        assert np.array_equal(only.counts[only.number(string), 0], expected)
    assert not only.counts[only.number(("new",))].any()
    again = Lexicon.from_json(only.to_json(), len(LABELS))
    assert again.numbers == only.numbers
    assert np.array_equal(again.counts, only.counts)
