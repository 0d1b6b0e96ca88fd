"""Builds pairs of segments for the sentence tasks: [CLS], first segment, [SEP], second, [SEP]; as long as a block.

The papers' sentences are lines here. Each keeps the [SEP] at its end, so two in a row separate the segments, as in
RoBERTa's pairs, and no encoder needs segment embeddings. Where lines are independent, as in this contest's corpus, the
tasks teach little. Only the tokens tell the classes apart: with independent lines, both classes have the same number,
lengths and positions of lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import DataError
from daguan.data.batches.masking import Ids
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import CLS, SEP


class PairText:
    """The text of the blocks as chunks of T−2 ids, each of which makes a pair of T ids.

    Chunks begin at evenly spaced sentences of any length, so neighbours may overlap. Sentences are lines; a line longer
    than half a chunk counts as several of similar length. (ALBERT takes the second segment from another document where
    one sentence fills a chunk; the papers also shorten one pair in ten.)
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.text: NDArray[Any] = blocks.rows.reshape(-1)
        self.width = blocks.rows.shape[1] - 1
        line_ends = np.append(np.flatnonzero(self.text[:-1] == SEP) + 1, len(self.text))
        self.ends = sentence_ends(line_ends, self.width // 2)
        starts = np.append(0, self.ends)[:: self.width * len(self.ends) // len(self.text)]
        self.starts = starts[starts + self.width <= len(self.text)]

    def split(self, held_out_blocks: Ids) -> tuple[Ids, Ids]:
        """Returns the chunk numbers (train, held out); a chunk that shares an id with a held-out block is held out.

        Raises:
            DataError: the text is too short for two chunks to train on and one to hold out.
        """
        block = self.width + 1
        held_out = np.zeros(len(self.blocks), dtype=bool)
        held_out[held_out_blocks] = True
        shares = held_out[self.starts // block] | held_out[(self.starts + self.width - 1) // block]
        train, held = np.flatnonzero(~shares), np.flatnonzero(shares)
        if len(train) < 2 or len(held) < 1:
            got = f"{len(train)} and {len(held)}"
            raise DataError(f"sentence pairs: expected text for two to train on and one to hold out, got {got}")
        return train, held

    def sentences(self, chunk: int) -> tuple[int, Ids]:
        """Returns the start of a chunk, and the ends of its whole sentences: two or more."""
        start = self.starts[chunk]
        first, after = np.searchsorted(self.ends, [start, start + self.width], "right")
        return int(start), self.ends[first:after]

    def ids(self, start: int, stop: int) -> Ids:
        return self.text[start:stop].astype(np.int64)

    def pair(self, first: Ids, *second: Ids) -> Ids:
        """Returns [CLS], the first segment, [SEP], and of the second what fits before the final [SEP]."""
        row: Ids = np.concatenate([[CLS], first, [SEP], *second])[: self.width + 2]
        row[-1] = SEP
        return row


def sentence_ends(line_ends: Ids, longest: int) -> Ids:
    """Returns the ends of the lines; a line longer than `longest` ids is split into equal parts."""
    starts = np.append(0, line_ends)[:-1]
    lengths = line_ends - starts
    parts = -(-lengths // longest)
    number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts) + 1
    ends: Ids = np.repeat(starts, parts) + number * np.repeat(lengths, parts) // np.repeat(parts, parts)
    return ends


def swap_segments(text: PairText, chunks: Ids, pool: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Returns pairs for sentence order (ALBERT, arXiv 1909.11942 §3.1): ids (B,T); labels (B,), 1 if swapped.

    The cut follows a random whole sentence; the rest of the chunk follows in either order.
    """
    labels = rng.integers(0, 2, len(chunks))
    rows = []
    for chunk, swapped in zip(chunks, labels, strict=True):
        start, ends = text.sentences(chunk)
        cut, end = int(ends[rng.integers(len(ends) - 1)]), int(ends[-1])
        one, other = _closed(text.ids(start, cut)), _closed(text.ids(cut, end))
        rest = text.ids(end, start + text.width)
        rows.append(text.pair(other, one, rest) if swapped else text.pair(one, other, rest))
    return np.stack(rows), labels


def replace_second(text: PairText, chunks: Ids, pool: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Returns pairs for next sentence (BERT, arXiv 1810.04805 §3.1): ids (B,T); labels (B,), 1 if the second segment is
    the start of another chunk of the pool.

    The first segment ends with the sentence at a random place of the chunk's first half, whatever follows it.
    """
    labels = rng.integers(0, 2, len(chunks))
    rows = []
    for chunk, replaced in zip(chunks, labels, strict=True):
        start, ends = text.sentences(chunk)
        cut = int(ends[np.searchsorted(ends, start + rng.integers(1, text.width // 2 + 1))])
        second = int(text.starts[_another(chunk, pool, rng)]) if replaced else cut
        rows.append(text.pair(_closed(text.ids(start, cut)), text.ids(second, second + start + text.width - cut)))
    return np.stack(rows), labels


PAIRINGS: dict[str, Callable[[PairText, Ids, Ids, np.random.Generator], tuple[Ids, Ids]]] = {
    "sop": swap_segments,
    "nsp": replace_second,
}


def _another(chunk: int, pool: Ids, rng: np.random.Generator) -> int:
    """Returns a random chunk of the pool other than `chunk`."""
    place = int(rng.integers(len(pool) - 1))
    return int(pool[-1] if pool[place] == chunk else pool[place])


def _closed(segment: Ids) -> Ids:
    """Returns the segment, ending with [SEP]."""
    return segment if segment[-1] == SEP else np.append(segment, SEP)
