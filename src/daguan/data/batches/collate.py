"""Sentences → tensors: batches of like lengths, padded to a multiple of some length (see `EngineSettings`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from daguan.core.types import Sentence
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import PAD, Vocabulary

FRAME = 2  # the encoder adds [CLS] and [SEP]: with them a row is a multiple long
POOL_BATCHES = 50  # sentences are sorted by length within random pools of so many batches


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence (or a piece of one) as numbers: token ids (T,), and tag ids (T,) if annotated."""

    token_ids: list[int]
    tag_ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.token_ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """token_ids (B,T), lengths (B,), tag_ids (B,T) or None; padding lies at the end of each row. weight: what its loss
    is multiplied by, one for all rows, so that no head has to know of it."""

    token_ids: Tensor
    lengths: Tensor
    tag_ids: Tensor | None
    weight: float = 1.0

    @property
    def mask(self) -> Tensor:
        """(B,T) true where there is a token."""
        return length_mask(self.lengths, self.token_ids.shape[1])

    @property
    def num_tokens(self) -> int:
        return int(self.lengths.sum())

    def to(self, device: torch.device) -> Batch:
        tags = None if self.tag_ids is None else self.tag_ids.to(device)
        return Batch(self.token_ids.to(device), self.lengths.to(device), tags, self.weight)


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """lengths (B,) → (B,size) true at the first so many places of each row."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def to_example(sentence: Sentence, vocabulary: Vocabulary, scheme: TagScheme | None) -> Example:
    """With a scheme, the sentence's spans become tags; without, it is only to be predicted."""
    tags = None if scheme is None else scheme.encode(len(sentence.tokens), sentence.gold)
    return Example(vocabulary.encode(sentence.tokens), tags)


def padded_length(length: int, multiple: int) -> int:
    """The least length of at least `length` that is a multiple with [CLS] and [SEP]: of 16, say, 14, 30, 46, …"""
    return -(-(length + FRAME) // multiple) * multiple - FRAME


def collate(examples: Sequence[Example], multiple: int, weight: float = 1.0) -> Batch:
    """A batch as long as its longest example, padded."""
    lengths = torch.tensor([len(example) for example in examples])
    length = padded_length(int(lengths.max()), multiple)
    token_ids = torch.full((len(examples), length), PAD)
    annotated = examples[0].tag_ids is not None
    tag_ids = torch.zeros((len(examples), length), dtype=torch.long) if annotated else None
    for row, example in enumerate(examples):
        token_ids[row, : len(example)] = torch.tensor(example.token_ids)
        if tag_ids is not None and example.tag_ids is not None:
            tag_ids[row, : len(example)] = torch.from_numpy(example.tag_ids)
    return Batch(token_ids, lengths, tag_ids, weight)


def bucketed_order(lengths: Sequence[int], size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches of `size` indices with like lengths, in random order; every index once, one batch may be short."""
    order = rng.permutation(len(lengths))
    lengths_array = np.asarray(lengths)
    pool = size * POOL_BATCHES
    batches = []
    for low in range(0, len(order), pool):
        part = order[low : low + pool]
        part = part[np.argsort(lengths_array[part], kind="stable")]
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(
    lengths: Sequence[int], tokens: int, multiple: int, most: Callable[[int], int] | None = None
) -> list[np.ndarray]:
    """For prediction: batches of at most about `tokens` padded tokens and most(padded length) rows, longest first."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    batches = []
    low = 0
    while low < len(order):
        length = padded_length(lengths[order[low]], multiple)
        rows = tokens // length if most is None else min(tokens // length, most(length))
        high = low + max(1, rows)
        batches.append(order[low:high])
        low = high
    return batches
