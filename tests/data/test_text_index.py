"""Counts and entropies against a scan by hand."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.data import text_index
from daguan.data.text_index import FEATURES, LONGEST, TextIndex
from daguan.data.vocabulary import SEP, SPECIALS, Vocabulary

TOKENS = tuple("abc")
VOCABULARY = Vocabulary([*SPECIALS, *TOKENS])
LINES = st.lists(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=8).map(tuple), min_size=1, max_size=12)


def ids_of(lines: list[tuple[str, ...]]) -> np.ndarray:
    return np.array([id for line in lines for id in (*VOCABULARY.encode(line), SEP)], np.uint16)


def entropy(counts: Counter[str]) -> float:
    return -sum(n / counts.total() * log(n / counts.total()) for n in counts.values())


def by_hand(lines: list[tuple[str, ...]], string: tuple[str, ...]) -> list[float]:
    left, right = Counter[str](), Counter[str]()
    for line in lines:
        padded = ("", *line, "")
        for start in range(1, len(line) + 2 - len(string)):
            if padded[start : start + len(string)] == string:
                left[padded[start - 1]] += 1
                right[padded[start + len(string)]] += 1
    count, size = max(1, left.total()), sum(len(line) + 1 for line in lines)
    alone = Counter(token for line in lines for token in line)
    together = (log(count / size) - sum(log(max(1, alone[token]) / size) for token in string)) / len(string)
    ends = [entropy(left), entropy(right)]
    return [log(count + 1), *ends, *(end - log(count) for end in ends), together]


@given(LINES, st.lists(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4).map(tuple), min_size=1, max_size=9))
def test_they_are_those_of_a_scan_by_hand(lines: list[tuple[str, ...]], strings: list[tuple[str, ...]]) -> None:
    found = TextIndex(ids_of(lines), VOCABULARY).features(strings)
    assert found == pytest.approx(np.array([by_hand(lines, string) for string in strings]), abs=1e-9)


@given(LINES)
def test_a_strings_features_do_not_depend_on_those_asked_beside_it(lines: list[tuple[str, ...]]) -> None:
    text, strings = TextIndex(ids_of(lines), VOCABULARY), [*lines, *(line[:2] for line in lines)]
    together = text.features(strings)
    assert all(
        np.array_equal(text.features([string]), row[None]) for string, row in zip(strings, together, strict=True)
    )


@pytest.mark.parametrize("length", [2, LONGEST, LONGEST + 1])
def test_long_strings_are_told_apart_by_their_last_token_and_the_longest_are_not_known(length: int) -> None:
    one, other = ("a",) * (length - 1) + ("b",), ("a",) * (length - 1) + ("c",)
    found = TextIndex(ids_of([one, one, other]), VOCABULARY).features([one, other, ("d",)])
    assert np.exp(found[:, 0]) - 1 == pytest.approx([2 if length <= LONGEST else 1, 1, 1])
    assert found[2, 1:] == pytest.approx(0)  # a token that is not known is one that stands there once


def test_of_a_long_text_the_end_is_read_and_of_frequent_strings_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [("a", "b")] * 30 + [("a", "c")] * 30
    whole = TextIndex(ids_of(lines), VOCABULARY).features([("a",)])
    monkeypatch.setattr(text_index, "MOST_OCCURRENCES", 10)
    assert TextIndex(ids_of(lines), VOCABULARY).features([("a",)])[:, :3] == pytest.approx(whole[:, :3])
    monkeypatch.setattr(text_index, "MOST_TOKENS", 90)
    assert np.exp(TextIndex(ids_of(lines), VOCABULARY).features([("b",), ("c",)])[:, 0]) == pytest.approx([2, 31])


def test_of_no_strings_there_is_nothing() -> None:
    assert TextIndex(ids_of([("a",)]), VOCABULARY).features([]).shape == (0, FEATURES)
    assert TextIndex(np.zeros(0, np.uint16), VOCABULARY).features([("a",)]) == pytest.approx(np.eye(1, 6) * np.log(2))


@pytest.mark.parametrize("most", [0, 2, 300, 2**20, 2**40])
@pytest.mark.parametrize("size", [1, 7, 900])
def test_places_are_sorted_by_the_ids_from_there_on_and_then_by_position(size: int, most: int) -> None:
    ids = np.random.default_rng(size).integers(0, most + 1, size)
    plain = sorted(range(size), key=lambda place: (ids[place : place + LONGEST].tolist(), place))
    assert text_index._sorted_places(ids).tolist() == plain
