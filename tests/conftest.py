"""A tiny contest that looks like the real one, and settings that train on it in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from daguan.core.types import Sentence, Span
from daguan.data.format import format_labelled, format_unlabelled, write_lines

settings.register_profile("daguan", deadline=None, derandomize=True, max_examples=60)  # the machine may be busy
settings.load_profile("daguan")

LABELS = ("a", "b", "c", "d")
TINY = [
    "name=tiny",
    "folds.count=2",
    "vocabulary.min_count=1",
    "encoder.layers=1",
    "encoder.hidden=32",
    "encoder.heads=2",
    "encoder.feed_forward=64",
    "encoder.max_length=32",
    "pretrain.tokens=3072",
    "pretrain.batch_size=8",
    "pretrain.checkpoint_seconds=0",
    "model.lstm_hidden=16",
    "model.head=lstm_crf",
    "train.epochs=10",
    "train.encoder_learning_rate=5e-3",
    "train.batch_size=8",
    "train.evaluations=2",
    "train.head_learning_rate=1e-2",
    "train.checkpoint_seconds=0",
    "ngram_crf.iterations=20",
]


def random_sentence(rng: np.random.Generator, length: int) -> Sentence:
    """Entities of type x are runs of tokens that start with x's own opener; everything else is noise."""
    tokens = [f"w{number}" for number in rng.integers(0, 40, length)]
    spans = []
    position = int(rng.integers(0, 4))
    while position + 4 < length:
        label = LABELS[rng.integers(0, len(LABELS))]
        size = int(rng.integers(1, 4))
        tokens[position : position + size] = [f"{label}{place}" for place in range(size)]
        spans.append(Span(position, position + size, label))
        position += size + int(rng.integers(0, 8))
    return Sentence(tuple(tokens), tuple(spans))


def write_contest(folder: Path, train: int = 60, test: int = 16) -> Path:
    """Lines of 1 to 30 tokens and one of 100, longer than any tiny window; a doubled line; words for tokens."""
    rng = np.random.default_rng(7)
    lengths = [*rng.integers(1, 31, train + test - 1), 100]
    sentences = [random_sentence(rng, int(length)) for length in lengths]
    sentences[1] = sentences[0]
    train_part, test_part = sentences[:train], sentences[train:]
    corpus = [random_sentence(rng, 20) for _ in range(60)]
    write_lines(folder / "train.txt", map(format_labelled, [*train_part, random_sentence(rng, 90)]))
    write_lines(folder / "test.txt", map(format_unlabelled, test_part))
    write_lines(folder / "test_gold.txt", map(format_labelled, test_part))
    write_lines(folder / "corpus.txt", map(format_unlabelled, corpus))
    return folder


@pytest.fixture(scope="session")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_contest(tmp_path_factory.mktemp("contest"))
