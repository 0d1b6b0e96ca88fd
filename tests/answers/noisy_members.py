"""Members that know the gold of some lines, each with mistakes of its own."""

from __future__ import annotations

import numpy as np

from conftest import LABELS, random_sentence
from daguan.answers.evidence import OutOfFold
from daguan.core.types import Sentence
from daguan.text.marginals import Probs
from daguan.text.tags import TagScheme

SCHEME = TagScheme(LABELS)


def noisy_answers(sentences: list[Sentence], noise: float, rng: np.random.Generator) -> list[Probs]:
    """P(tag): of the gold tag more than of others, but for the noise (nats)."""
    answers = []
    for sentence in sentences:
        scores = noise * rng.normal(size=(len(sentence.tokens), len(SCHEME)))
        scores[np.arange(len(scores)), SCHEME.encode(len(scores), sentence.gold)] += 4.0
        answers.append((np.exp(scores) / np.exp(scores).sum(1, keepdims=True)).astype(np.float16))
    return answers


def evidence(noises: tuple[float, ...], lines: int = 60, folds: int = 3, seed: int = 0) -> OutOfFold:
    rng = np.random.default_rng(seed)
    gold = [random_sentence(rng, int(length)) for length in rng.integers(1, 25, lines)]
    answers = [noisy_answers(gold, noise, rng) for noise in noises]
    return OutOfFold(gold, np.arange(lines) % folds, answers, SCHEME, seed)


def with_other_gold(given: OutOfFold, fold: int) -> OutOfFold:
    """The same answers, but all the gold of one fold is another."""
    rng = np.random.default_rng(99)
    gold = [
        Sentence(line.tokens, random_sentence(rng, len(line.tokens)).spans) if of == fold else line
        for line, of in zip(given.gold, given.fold_of_line.tolist(), strict=True)
    ]
    return OutOfFold(gold, given.fold_of_line, given.answers, given.scheme, given.seed)
