"""Turns sentences into tensors: batches of similar lengths, padded to a multiple of a length (see `EngineSettings`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from daguan.core.types import Sentence
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import PAD, Vocabulary

FRAME = 2  # the encoder adds [CLS] and [SEP]; with them the row length is a multiple
POOL_BATCHES = 50  # the size of the random pools within which sentences are sorted by length


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence, or a part of one, as numbers.

    Attributes:
        token_ids: (T,)
        tag_ids: (T,), None if it is not annotated.
        pieces: the pieces of each token, none of which is without one; None for an encoder that reads tokens.
    """

    token_ids: list[int]
    tag_ids: np.ndarray | None = None
    pieces: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def width(self) -> int:
        """Returns how many places the encoder reads."""
        return len(self) if self.pieces is None else sum(map(len, self.pieces))


@dataclass(frozen=True, slots=True)
class PieceRows:
    """What an encoder reads of sentences whose tokens have pieces, padded at the end of each row.

    Attributes:
        ids: (B,P)
        lengths: (B,)
        owners: (B,P) the place of the token that a piece is of; 0 at padding.
        starts: (B,T) the place of each token's first piece; 0 at padding.
    """

    ids: Tensor
    lengths: Tensor
    owners: Tensor
    starts: Tensor

    @property
    def mask(self) -> Tensor:
        """Returns (B,P) true where there is a piece."""
        return length_mask(self.lengths, self.ids.shape[1])

    def changed(self, change: Callable[[Tensor], Tensor]) -> PieceRows:
        return PieceRows(*map(change, (self.ids, self.lengths, self.owners, self.starts)))


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentences in one tensor, padded at the end of each row.

    Attributes:
        token_ids: (B,T)
        lengths: (B,)
        tag_ids: (B,T) or None.
        pieces: those of the tokens, None for an encoder that reads tokens.
    """

    token_ids: Tensor
    lengths: Tensor
    tag_ids: Tensor | None
    pieces: PieceRows | None = None

    @property
    def mask(self) -> Tensor:
        """Returns (B,T) true where there is a token."""
        return length_mask(self.lengths, self.token_ids.shape[1])

    @property
    def num_tokens(self) -> int:
        return int(self.lengths.sum())

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on a device; nothing waits for the copy of pinned memory."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """Returns the batch in pinned memory, which a GPU copies while it computes."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tags = None if self.tag_ids is None else change(self.tag_ids)
        pieces = None if self.pieces is None else self.pieces.changed(change)
        return Batch(change(self.token_ids), change(self.lengths), tags, pieces)


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """Returns (B,size) true at the first lengths[b] places of row b, of lengths (B,)."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def to_example(
    sentence: Sentence,
    vocabulary: Vocabulary,
    scheme: TagScheme | None,
    pieces: Callable[[Sequence[str]], list[list[int]]] | None = None,
) -> Example:
    """Encodes a sentence; its spans become tags if there is a scheme, else it can only be predicted."""
    tags = None if scheme is None else scheme.encode(len(sentence.tokens), sentence.gold)
    return Example(vocabulary.encode(sentence.tokens), tags, pieces(sentence.tokens) if pieces else None)


def padded_length(length: int, multiple: int) -> int:
    """Returns the smallest length >= `length` that is a multiple with [CLS] and [SEP]: for 16, 14, 30, 46, …"""
    return -(-(length + FRAME) // multiple) * multiple - FRAME


def collate(examples: Sequence[Example], multiple: int) -> Batch:
    """Returns a batch padded to its longest example."""
    lengths = torch.tensor([len(example) for example in examples])
    length = padded_length(int(lengths.max()), multiple)
    token_ids = torch.full((len(examples), length), PAD)
    annotated = examples[0].tag_ids is not None
    tag_ids = torch.zeros((len(examples), length), dtype=torch.long) if annotated else None
    for row, example in enumerate(examples):
        token_ids[row, : len(example)] = torch.tensor(example.token_ids)
        if tag_ids is not None and example.tag_ids is not None:
            tag_ids[row, : len(example)] = torch.from_numpy(example.tag_ids)
    pieces = [example.pieces for example in examples if example.pieces is not None]
    return Batch(token_ids, lengths, tag_ids, _piece_rows(pieces, length, multiple) if pieces else None)


def _piece_rows(lines: Sequence[list[list[int]]], length: int, multiple: int) -> PieceRows:
    """Returns the pieces of the tokens of each line, of which rows have `length`."""
    lengths = torch.tensor([sum(map(len, line)) for line in lines])
    width = padded_length(int(lengths.max()), multiple)
    ids, owners = torch.full((len(lines), width), PAD), torch.zeros(len(lines), width, dtype=torch.long)
    starts = torch.zeros(len(lines), length, dtype=torch.long)
    for row, line in enumerate(lines):
        counts = torch.tensor([len(token) for token in line])
        ids[row, : lengths[row]] = torch.tensor([piece for token in line for piece in token])
        owners[row, : lengths[row]] = torch.arange(len(line)).repeat_interleave(counts)
        starts[row, : len(line)] = counts.cumsum(0) - counts
    return PieceRows(ids, lengths, owners, starts)


def bucketed_order(lengths: Sequence[int], size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Returns batches of `size` indices with similar lengths, in random order; the last of a pool may be shorter."""
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
    """Returns batches for prediction, longest first: about `tokens` padded tokens and most(padded length) rows at
    most."""
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
