"""Members that know the gold of some lines, each with mistakes of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conftest import LABELS, random_sentence
from daguan.core.types import Sentence
from daguan.data.batches.packing import token_file, write_token_file
from daguan.data.marginals import LineMarginals
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.data.vocabulary import SEP, SPECIALS, Vocabulary
from daguan.ensemble.combination import OutOfFoldData

SCHEME = TagScheme(LABELS)


def noisy_answers(sentences: list[Sentence], noise: float, rng: np.random.Generator) -> list[LineMarginals]:
    """P(tag): of the gold tag more than of others, but for the noise (nats)."""
    answers = []
    for sentence in sentences:
        scores = noise * rng.normal(size=(len(sentence.tokens), len(SCHEME)))
        scores[np.arange(len(scores)), SCHEME.encode(len(scores), sentence.gold)] += 4.0
        answers.append((np.exp(scores) / np.exp(scores).sum(1, keepdims=True)).astype(np.float16))
    return answers


def noisy_data(noises: tuple[float, ...], lines: int = 60, folds: int = 3, seed: int = 0) -> OutOfFoldData:
    rng = np.random.default_rng(seed)
    gold = [random_sentence(rng, int(length)) for length in rng.integers(1, 25, lines)]
    answers = [noisy_answers(gold, noise, rng) for noise in noises]
    return OutOfFoldData(gold, np.arange(lines) % folds, answers, SCHEME, seed, TextIndex(*ids_of(gold)))


def ids_of(sentences: Sequence[Sentence]) -> tuple[NDArray[np.uint32], Vocabulary]:
    """The lines as ids, and by what vocabulary."""
    vocabulary = Vocabulary([*SPECIALS, *dict.fromkeys(token for line in sentences for token in line.tokens)])
    ids = [id for line in sentences for id in (*vocabulary.encode(line.tokens), SEP)]
    return np.array(ids, np.uint32), vocabulary


def prepare(folder: Path, sentences: Sequence[Sentence]) -> Path:
    """As the command of that name leaves the text."""
    ids, vocabulary = ids_of(sentences)
    vocabulary.save(folder)
    write_token_file(token_file(folder, len(vocabulary)), [ids])
    return folder


def with_other_gold(given: OutOfFoldData, fold: int) -> OutOfFoldData:
    """The same answers, but all the gold of one fold is another."""
    rng = np.random.default_rng(99)
    gold = [
        Sentence(line.tokens, random_sentence(rng, len(line.tokens)).spans) if of == fold else line
        for line, of in zip(given.gold, given.fold_of_line.tolist(), strict=True)
    ]
    return OutOfFoldData(gold, given.fold_of_line, given.marginals, given.scheme, given.seed, given.text)
