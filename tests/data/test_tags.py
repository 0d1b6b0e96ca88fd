from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.types import Span
from daguan.data.tags import TagScheme

SCHEME = TagScheme(("a", "b"))


def span_sets(length, labels, start=0):
    """All sets of disjoint labelled spans of `length` tokens, by brute force."""
    if start == length:
        return [()]
    found = span_sets(length, labels, start + 1)
    for stop in range(start + 1, length + 1):
        rest = span_sets(length, labels, stop)
        found = found + [(Span(start, stop, label), *others) for label in labels for others in rest]
    return found


def is_legal(tags):
    ends = not tags or (SCHEME.may_start[tags[0]] and SCHEME.may_end[tags[-1]])
    return ends and all(SCHEME.allowed[pair] for pair in pairwise(tags))


@pytest.mark.parametrize("length", range(5))
def test_decode_inverts_encode_over_all_span_sets(length):
    for spans in span_sets(length, SCHEME.labels):
        assert SCHEME.decode(SCHEME.encode(length, spans)) == spans


@pytest.mark.parametrize("length", range(5))
def test_encode_inverts_decode_over_all_legal_tags_and_illegal_ones_raise(length):
    legal = 0
    for tags in product(range(len(SCHEME)), repeat=length):
        if is_legal(tags):
            legal += 1
            assert tuple(SCHEME.encode(length, SCHEME.decode(tags))) == tags
        else:
            with pytest.raises(ValueError, match="may not"):
                SCHEME.decode(tags)
    assert legal == len(span_sets(length, SCHEME.labels))


@given(st.data())
def test_decode_inverts_encode_for_any_labels_and_lengths(data):
    labels = data.draw(st.lists(st.text("abcxyz", min_size=1), min_size=1, max_size=5, unique=True))
    pieces = data.draw(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([None, *labels])), max_size=12))
    spans, length = [], 0
    for size, label in pieces:
        if label:
            spans.append(Span(length, length + size, label))
        length += size
    assert TagScheme(tuple(labels)).decode(TagScheme(tuple(labels)).encode(length, spans)) == tuple(spans)


def test_the_table_of_tags():
    assert SCHEME.tags == ("O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b")
    assert len(SCHEME) == len(SCHEME.tags) == 9


def test_the_table_of_transitions():
    """Written out by names, apart from the arithmetic of the scheme."""
    for (i, first), (j, second) in product(enumerate(SCHEME.tags), repeat=2):
        goes_on = first[0] in "BI"
        expected = second[0] in "IE" and first[1:] == second[1:] if goes_on else second[0] in "OBS"
        assert SCHEME.allowed[i, j] == expected, (first, second)


def test_starts_and_ends_by_name():
    starts, ends = ({SCHEME.tags[i] for i in np.flatnonzero(may)} for may in (SCHEME.may_start, SCHEME.may_end))
    assert starts == {"O", "B-a", "S-a", "B-b", "S-b"}
    assert ends == {"O", "E-a", "S-a", "E-b", "S-b"}


def test_tags_by_hand():
    tags = SCHEME.encode(7, (Span(0, 1, "a"), Span(1, 3, "a"), Span(4, 7, "b")))
    assert [SCHEME.tags[tag] for tag in tags] == ["S-a", "B-a", "E-a", "O", "B-b", "I-b", "E-b"]
    assert tags.dtype == np.int64


def test_a_label_outside_the_scheme_is_refused():
    with pytest.raises(ValueError, match="not in"):
        SCHEME.encode(2, (Span(0, 1, "c"),))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([2], "I-a may not follow O (position 0)"),
        ([0, 1, 0], "O may not follow B-a (position 2)"),
        ([1, 7], "E-b may not follow B-a (position 1)"),
        ([0, 1], "B-a may not be the last tag"),
    ],
)
def test_an_illegal_sequence_is_refused_by_name_and_place(tags, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the message is compared whole below)
        SCHEME.decode(tags)
    assert str(error.value) == message


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 2**32 - 1))
def test_many_lines_are_decoded_as_each_alone(lengths, seed):
    rng = np.random.default_rng(seed)
    choices = [span_sets(length % 4, SCHEME.labels) for length in lengths]
    lines = [
        SCHEME.encode(length % 4, some[rng.integers(len(some))]) for length, some in zip(lengths, choices, strict=True)
    ]
    assert SCHEME.decode_all(lines) == [SCHEME.decode(line) for line in lines]
    for number in range(len(lines)):
        wrong = [*lines[:number], [SCHEME.tags.index("I-a")], *lines[number + 1 :]]
        with pytest.raises(ValueError, match=r"I-a may not follow O \(position 0\)"):
            SCHEME.decode_all(wrong)
