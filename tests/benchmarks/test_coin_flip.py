"""Where labels are coin flips, no out-of-fold score is above the test score. The table has more lines and members."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.coin_flip import MOST, Difference, Size, mean_score, pooled

from daguan.core.types import Score, Sentence, Span

SMALL = Size(train_lines=20, test_lines=5)
WORDS = ("members=[ngram_crf,cnn,soup,student]", "train.epochs=4", "train.evaluations=6")


@pytest.fixture(scope="module")
def found() -> dict[str, Difference]:
    return pooled(SMALL, ("stack",), WORDS)


def test_no_member_student_or_blend_scores_higher_out_of_fold_than_on_test(found: dict[str, Difference]) -> None:
    assert set(found) == {"ngram_crf", "cnn", "soup", "student", "mean", "stack"}
    for name, difference in found.items():
        assert difference.out_of_fold.gold == 6 * 20 * 40
        assert difference.test.f1 == pytest.approx(0.5, abs=0.01), name  # an answer to almost each token, half right
        assert difference.points - difference.half_width < MOST, name
        assert difference.half_width < 1.5


def test_the_best_of_a_few_answers_on_each_fold_would_be_seen() -> None:
    """Six answers to each of 18 folds of that size."""
    tokens = 6 * 20 * 40
    right = np.random.default_rng(1).binomial(tokens // 18, 0.5, (18, 6))
    for hits, seen in ((right.max(1), True), (right[:, 0], False)):
        found = Difference(Score(int(hits.sum()), tokens, tokens), Score(1, 2, 2))
        assert (found.points - found.half_width > MOST) == seen


def test_answers_of_more_than_one_token_are_never_right() -> None:
    line = Sentence(tuple("12345"), (Span(0, 1, "a"), Span(1, 3, "b"), Span(3, 4, "b")))
    assert mean_score([line]) == Score(1, 3, 5)
