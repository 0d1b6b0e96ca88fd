"""Texts annotated in several ways: found by looking at every pair, resolved without touching any other line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.errors import ConfigError
from daguan.core.types import Sentence, labels_of
from daguan.data.conflicts import ConflictSettings, conflicting_lines, most_common_annotations, resolve_conflicts
from daguan.data.format import parse_labelled
from daguan.data.tags import TagScheme

LINES = ["1_2/a", "1/o  2/a", "1_2/o", "3/a  1/o", "3/o  1/a", "1_2/b", "1_2_1/a"]
TRAIN = st.lists(st.sampled_from(LINES).map(parse_labelled), min_size=1, max_size=10)
SCHEME = TagScheme(("a", "b"))


def lines(*texts: str) -> list[Sentence]:
    return list(map(parse_labelled, texts))


@given(TRAIN)
def test_conflicts_are_those_that_pairs_show(train: list[Sentence]) -> None:
    found = conflicting_lines(train)
    expected = {i for i, one in enumerate(train) if any(one.tokens == other.tokens and one != other for other in train)}
    assert sorted(line for alike in found for line in alike) == sorted(expected)
    for alike in found:
        assert [i for i, line in enumerate(train) if line.tokens == train[alike[0]].tokens] == alike


@given(TRAIN, st.sampled_from(["keep", "drop", "relabel"]))
def test_only_conflicts_are_touched_and_none_is_left(train: list[Sentence], way: str) -> None:
    made = resolve_conflicts(train, ConflictSettings(training=way), {}, SCHEME)
    touched = {line for alike in conflicting_lines(train) for line in alike}
    assert [line for i, line in enumerate(made) if i not in touched] == [
        line for i, line in enumerate(train) if i not in touched
    ]
    assert way == "keep" or not conflicting_lines([line for line in made if line is not None])
    for i in touched:
        before = train[i]
        assert (made[i] is None) == (way == "drop")
        assert way != "keep" or made[i] == before
        assert made[i] is None or made[i].tokens == before.tokens  # type: ignore[union-attr]


def test_the_commonest_annotation_is_taken_of_equals_the_first() -> None:
    train = lines("1_2/a", "7/o", "1_2/b", "1_2/b", "3/b", "3/a")
    assert resolve_conflicts(train, ConflictSettings(training="relabel"), {}, SCHEME) == lines(
        "1_2/b", "7/o", "1_2/b", "1_2/b", "3/b", "3/b"
    )
    assert most_common_annotations(train[4:]) == train[4:]


def test_a_run_chooses_what_it_believes_out_of_fold() -> None:
    train = lines("1_2/a", "1_2/b", "1/a  2/o")
    settings = ConflictSettings(training="relabel", run="tagger-1")
    for wanted in train:
        probs = np.full((2, len(SCHEME)), 0.01, dtype=np.float16)
        probs[range(2), SCHEME.encode(2, wanted.gold)] = 0.9
        assert resolve_conflicts(train, settings, dict.fromkeys(range(3), probs), SCHEME) == [wanted] * 3
    nothing = dict.fromkeys(range(3), np.zeros((2, len(SCHEME)), dtype=np.float16))
    assert resolve_conflicts(train, settings, nothing, SCHEME) == [train[0]] * 3


def test_labels_stay_where_none_conflict() -> None:
    train = lines("1_2/a", "1_2/a", "3/b")
    assert resolve_conflicts(train, ConflictSettings(training="drop"), {}, TagScheme(labels_of(train))) == train


def test_another_way_is_refused() -> None:
    with pytest.raises(ConfigError, match="training: expected keep or drop or relabel, got 'delete'"):
        ConflictSettings(training="delete")
