"""Features of unlabelled text: strings' neighbours by brute force, and what a token's features depend on."""

from collections import defaultdict

import numpy as np
import pytest

from daguan.core.errors import CheckpointError
from daguan.data.feature_hashes import hashes
from daguan.data.ngram_features import features
from daguan.data.text_features import (
    FEWEST,
    LENGTHS,
    NO_FEATURE,
    TextFeatures,
    read_text_features,
    string_hashes,
    varieties_of_strings,
    write_text_features,
)

SEP, UNK = 0, 1
ENTRIES = ["[SEP]", "[UNK]", *"abcdef"]


def random_text(seed: int = 0, tokens: int = 3000) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(UNK, len(ENTRIES), rng.integers(1, 12)).tolist() for _ in range(tokens // 6)]


def counted(lines: list[list[int]]) -> dict[tuple[int, ...], int]:
    """1 + ⌊log₂⌋ of the fewer of the different neighbours of each string without [UNK] seen FEWEST times."""
    left, right, count = defaultdict(set), defaultdict(set), defaultdict(int)
    for line in lines:
        closed = [SEP, *line, SEP]
        for length in LENGTHS:
            for start in range(1, len(closed) - length):
                string = tuple(closed[start : start + length])
                count[string] += 1
                left[string].add(closed[start - 1])
                right[string].add(closed[start + length])
    often = (string for string in count if count[string] >= FEWEST and UNK not in string)
    return {string: min(len(left[string]), len(right[string])).bit_length() for string in often}


def learnt(lines: list[list[int]]) -> TextFeatures:
    ids = np.array([id for line in lines for id in (*line, SEP)])
    tokens = np.sort(hashes("abcdef"))
    clusters = np.arange(1, 13, dtype=np.uint64).reshape(6, 2)
    return TextFeatures(tokens, clusters, *varieties_of_strings(ids, (SEP, UNK), hashes(ENTRIES)))


def hash_of(string: tuple[int, ...]) -> int:
    (found,) = string_hashes([hashes([ENTRIES[id]]) for id in string])
    return int(found)


def test_varieties_are_those_that_brute_force_counts():
    lines = random_text()
    found = learnt(lines)
    expected = {hash_of(string): variety for string, variety in counted(lines).items()}
    assert len(expected) > 100
    assert dict(zip(found.strings.tolist(), found.varieties.tolist(), strict=True)) == expected
    assert (np.diff(found.strings) > 0).all()


def test_a_text_too_short_for_strings_has_none():
    found = learnt([[2], [3, 4]])
    assert len(found.strings) == 0
    rows, _ = features([["a", "b", "c"]], found)
    assert (rows != NO_FEATURE).any()


def test_each_string_of_a_line_marks_its_first_inner_and_last_tokens():
    lines = random_text()
    found, known = learnt(lines), counted(lines)
    line = max(lines, key=len)
    rows, _ = features([[ENTRIES[id] for id in line]], found)
    column = rows.shape[1] - sum(LENGTHS)
    seen: dict[tuple[int, str, int], int] = {}  # one feature for each length, role and variety
    for length in LENGTHS:
        for place in range(length):
            role = "first" if place == 0 else "last" if place == length - 1 else "inner"
            for token in range(len(line)):
                start = token - place
                inside = start >= 0 and start + length <= len(line)
                variety = known.get(tuple(line[start : start + length]), 0) if inside else 0
                assert bool(rows[token, column]) == bool(variety)
                if variety:
                    assert seen.setdefault((length, role, variety), rows[token, column]) == rows[token, column]
            column += 1
    assert len(set(seen.values())) == len(seen) > 6


def test_features_of_a_line_do_not_depend_on_other_lines():
    found = learnt(random_text())
    lines = [[ENTRIES[id] for id in line] for line in random_text(1)]
    together, _ = features(lines, found)
    assert (together == np.concatenate([features([line], found)[0] for line in lines])).all()


def test_tokens_of_one_cluster_look_alike_but_for_their_own_features():
    tokens = np.sort(hashes("ab"))
    empty = np.zeros(0, np.uint64)
    found = TextFeatures(tokens, np.ones((2, 1), np.uint64), empty, empty)
    (one, other), plain = (features([["x", token, "y"]], found)[0] for token in "ab"), features([["x"]])[0].shape[1]
    assert (one[:, plain:] == other[:, plain:]).all()
    assert (one[:, :plain] != other[:, :plain]).any()


def test_features_load_as_they_were_saved(tmp_path):
    found = learnt(random_text())
    write_text_features(found, tmp_path / "text.safetensors")
    loaded = read_text_features(tmp_path / "text.safetensors")
    assert (features(["abc"], loaded)[0] == features(["abc"], found)[0]).all()
    (tmp_path / "text.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"text\.safetensors: expected the features of a text"):
        read_text_features(tmp_path / "text.safetensors")
