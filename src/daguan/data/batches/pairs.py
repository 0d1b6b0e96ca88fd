"""Pairs of segments for the sentence tasks: [CLS], one segment, [SEP], the other, [SEP]; as long as a block, unpadded.

The papers' sentences are lines here; each keeps the [SEP] at its end, so two in a row part the segments, as in
RoBERTa's pairs, and no encoder needs segment embeddings. Where lines are independent, as in this contest's corpus,
consecutive ones say little about each other, and the tasks teach little. Nothing but what the tokens say tells the
classes apart: with independent lines, both have the same number, lengths and places of lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import DataError
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import CLS, SEP

Ids = NDArray[np.int64]


class PairText:
    """The text of the blocks as chunks of T − 2 ids, each of which makes a pair of T ids.

    A chunk begins with every so many-th sentence, whatever its length, so neighbours can overlap. Sentences are lines;
    one longer than half a chunk is several of about the same length. (ALBERT takes a second segment from another
    document where one sentence fills a chunk; the papers also shorten one pair in ten.)
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
        """Numbers of the chunks (train, held out): one that shares an id with a held-out block is held out.

        Raises:
            DataError: too little text for two chunks to train on and one to hold out.
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
        """Where the chunk starts, and where those of its sentences end that it holds whole: two or more."""
        start = self.starts[chunk]
        first, after = np.searchsorted(self.ends, [start, start + self.width], "right")
        return int(start), self.ends[first:after]

    def ids(self, start: int, stop: int) -> Ids:
        return self.text[start:stop].astype(np.int64)

    def pair(self, first: Ids, *second: Ids) -> Ids:
        """[CLS], the first segment, [SEP], of the second what fits in before [SEP]."""
        row: Ids = np.concatenate([[CLS], first, [SEP], *second])[: self.width + 2]
        row[-1] = SEP
        return row


def sentence_ends(line_ends: Ids, longest: int) -> Ids:
    """The ends of lines, and between them those of the parts of lines that are longer than `longest` ids."""
    starts = np.append(0, line_ends)[:-1]
    lengths = line_ends - starts
    parts = -(-lengths // longest)
    number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts) + 1
    ends: Ids = np.repeat(starts, parts) + number * np.repeat(lengths, parts) // np.repeat(parts, parts)
    return ends


def swap_segments(text: PairText, chunks: Ids, pool: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Sentence order (ALBERT, arXiv 1909.11942 §3.1): (B,T) ids; labels (B,) 1 where the two segments are swapped.

    They are parted after any whole sentence alike; what no longer fits in follows either way.
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
    """Next sentence (BERT, arXiv 1810.04805 §3.1): (B,T) ids; labels (B,) 1 where the second segment is not what
    follows but begins another chunk of the pool.

    The first ends with the sentence that holds a place drawn from its chunk's first half: by no rule of what follows.
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
    """One of the pool that is not the chunk."""
    place = int(rng.integers(len(pool) - 1))
    return int(pool[-1] if pool[place] == chunk else pool[place])


def _closed(segment: Ids) -> Ids:
    return segment if segment[-1] == SEP else np.append(segment, SEP)
