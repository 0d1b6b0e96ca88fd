"""Segments for language models that read on: each row of a batch is a stream of the text, in both directions.

Between lines the text has one [SEP]. To a language model that is two things, the end of a line to be predicted and the
beginning of the next to be read, and a tagger's line begins with [CLS]: so what is read at that place is [CLS] forwards
and [SEP] backwards, as a line on its own is framed, and what is predicted is the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daguan.data.batches.masking import Ids, Rows
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import CLS, SEP


@dataclass(frozen=True)
class Segments(Rows):
    """inputs (B,2,S) to read, labels (B,2,S) that follow, by direction: forwards, and backwards, where text comes in
    reverse. fresh (B,2): the segment does not follow on the row's last one. rows (B,): which streams these are."""

    inputs: Ids
    labels: Ids
    fresh: NDArray[np.bool_]
    rows: Ids


class Streams:
    """B streams over the training blocks (N,), which are sorted: each has a stretch of them, as long as the others' or
    a block longer, and reads it again and again, forwards from its first block on and backwards from its last."""

    def __init__(self, blocks: Blocks, train: Ids, count: int) -> None:
        self.blocks, self.train = blocks, train
        bounds = np.arange(count + 1) * len(train) // count
        self.first, self.length = bounds[:-1], np.maximum(1, np.diff(bounds))  # some share a block if there are few
        self.rows = np.arange(count)

    def at(self, update: int) -> Segments:
        """The update's segment of each stream."""
        done = update % self.length
        onward = self._side(self.first + done, done > 0, -1)
        back = self._side(self.first + self.length - 1 - done, done > 0, 1)
        inputs, labels, fresh = (np.stack(pair, axis=1) for pair in zip(onward, back, strict=True))
        return Segments(inputs, labels, fresh, self.rows)

    def _side(self, places: Ids, later: NDArray[np.bool_], step: int) -> tuple[Ids, Ids, NDArray[np.bool_]]:
        """Inputs, labels (B,S) and fresh (B,) of the blocks at these places of `train`, whose streams come from the
        blocks `step` away unless they begin."""
        numbers = self.train[places]
        before = self.train[np.where(later, places + step, places)]
        follows = before == numbers + step
        return *read_on(self.blocks, numbers, follows, step), ~follows


def read_on(blocks: Blocks, numbers: Ids, follows: NDArray[np.bool_], step: int) -> tuple[Ids, Ids]:
    """Inputs and labels (B,S) of blocks (B,) read forwards (step −1: what comes before has the smaller number) or
    backwards (step 1): each id is predicted once, from those before it, of which the first is the last of the block
    before where it `follows` (B,), and the beginning of a line elsewhere."""
    begin, end, order = (CLS, SEP, 1) if step < 0 else (SEP, CLS, -1)
    ids = blocks.ids(numbers)[:, ::order]
    last = blocks.ids(np.where(follows, numbers + step, numbers))[:, ::order][:, -1]
    inputs = np.concatenate([np.where(follows, last, SEP)[:, None], ids[:, :-1]], axis=1)
    return np.where(inputs == SEP, begin, inputs), np.where(ids == SEP, end, ids)


def alone(blocks: Blocks, numbers: Ids) -> Segments:
    """Blocks (B,) each for itself."""
    nothing = np.zeros(len(numbers), dtype=np.bool_)
    sides = [read_on(blocks, numbers, nothing, step) for step in (-1, 1)]
    inputs, labels = (np.stack(pair, axis=1) for pair in zip(*sides, strict=True))
    return Segments(inputs, labels, np.ones((len(numbers), 2), dtype=np.bool_), np.arange(len(numbers)))
