"""What trials are made on: samples of the real lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from daguan.budget.trials import FOLDS, LEAST_TOKENS, LINES, TOKENS, USUAL, sample_of, sample_tokens, write_sample
from daguan.core.types import Sentence, Span, labels_of
from daguan.text.folds import fold_from_file
from daguan.text.format import read_labelled, read_unlabelled
from daguan.text.vocabulary import SPECIALS, Vocabulary

RARE = Sentence(("r", "e"), (Span(0, 1, "rare"),))
TRAIN = [Sentence((f"w{line}", "b", "c"), (Span(1, 2, "a"),)) for line in range(400)] + [RARE]
TEST = [Sentence((f"t{line}", "b")) for line in range(100)]


@pytest.mark.parametrize("tokens", [1, 100, 600, 10**6])
def test_a_sample_has_about_so_many_tokens_and_every_type(tokens: int) -> None:
    sample = sample_of(TRAIN, tokens, 1)
    size = sum(len(sentence.tokens) for sentence in sample)
    assert abs(size - min(max(tokens, LINES * 3), 3 * 400 + 2)) <= 3
    assert labels_of(sample) == ("a", "rare")
    assert sample == sample_of(TRAIN, tokens, 1)


def test_unlabelled_lines_are_taken_evenly() -> None:
    assert sample_of(TEST, 40, 1) == TEST[::5]


def test_a_written_sample_is_a_contest_in_folds(tmp_path: Path) -> None:
    write_sample(tmp_path, TRAIN, TEST, Vocabulary(SPECIALS), 60, 1)
    train = read_labelled(tmp_path / "train.txt")
    assert read_unlabelled(tmp_path / "test.txt") == TEST
    held_out = [line for fold in range(FOLDS) for line in fold_from_file(tmp_path, fold).held_out.tolist()]
    assert sorted(held_out) == list(range(len(train)))


def test_a_slow_machine_gets_a_smaller_sample() -> None:
    assert sample_tokens("tagger", False, 10 * USUAL) == TOKENS["tagger"]
    assert sample_tokens("tagger", False, USUAL / 2) == TOKENS["tagger"] / 2
    assert sample_tokens("tagger", False, 1.0) == LEAST_TOKENS
    assert sample_tokens("tagger", True, float("inf")) > TOKENS["tagger"]
    assert sample_tokens("ngram_crf", True, float("inf")) == TOKENS["ngram_crf"]
