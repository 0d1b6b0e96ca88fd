"""Cuts segments for language models with memory: each row of a batch reads on through the text, in both directions.

The text has one [SEP] between lines. A language model sees two things there, the end of a line to predict and the start
of the next line to read; a tagger's line starts with [CLS]. So the model reads [CLS] there forwards and [SEP]
backwards, as a single line is framed, and predicts the other one.
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
    """The segments of B streams, by direction: forwards, and backwards on the reversed text.

    Attributes:
        inputs: (B,2,S) the ids to read.
        labels: (B,2,S) the ids that follow.
        fresh: (B,2) true where the segment does not continue the row's previous one.
        rows: (B,) the streams' numbers.
    """

    inputs: Ids
    labels: Ids
    fresh: NDArray[np.bool_]
    rows: Ids


class Streams:
    """B streams over the training blocks (N,), which are sorted.

    Each has its own stretch of blocks, equally long up to one block, and reads it repeatedly: forwards from its first
    block, backwards from its last.
    """

    def __init__(self, blocks: Blocks, train: Ids, count: int) -> None:
        self.blocks, self.train = blocks, train
        bounds = np.arange(count + 1) * len(train) // count
        self.first, self.length = bounds[:-1], np.maximum(1, np.diff(bounds))  # some share a block if there are few
        self.rows = np.arange(count)

    def at(self, update: int) -> Segments:
        """Returns the segments of an update."""
        done = update % self.length
        onward = self._side(self.first + done, done > 0, -1)
        back = self._side(self.first + self.length - 1 - done, done > 0, 1)
        inputs, labels, fresh = (np.stack(pair, axis=1) for pair in zip(onward, back, strict=True))
        return Segments(inputs, labels, fresh, self.rows)

    def _side(self, places: Ids, later: NDArray[np.bool_], step: int) -> tuple[Ids, Ids, NDArray[np.bool_]]:
        """Returns inputs and labels (B,S) and fresh (B,) of the blocks at `places` of `train`.

        A stream that is `later` than its start comes from the block `step` away.
        """
        numbers = self.train[places]
        before = self.train[np.where(later, places + step, places)]
        follows = before == numbers + step
        return *read_on(self.blocks, numbers, follows, step), ~follows


def read_on(blocks: Blocks, numbers: Ids, follows: NDArray[np.bool_], step: int) -> tuple[Ids, Ids]:
    """Returns inputs and labels (B,S) of blocks (B,), read forwards (step −1) or backwards (step 1).

    Each id is predicted once, from those before it. Where a block `follows` (B,) the one `step` away, the first input
    is the last id of that block, elsewhere it is the start of a line.
    """
    begin, end, order = (CLS, SEP, 1) if step < 0 else (SEP, CLS, -1)
    ids = blocks.ids(numbers)[:, ::order]
    last = blocks.ids(np.where(follows, numbers + step, numbers))[:, ::order][:, -1]
    inputs = np.concatenate([np.where(follows, last, SEP)[:, None], ids[:, :-1]], axis=1)
    return np.where(inputs == SEP, begin, inputs), np.where(ids == SEP, end, ids)


def independent_segments(blocks: Blocks, numbers: Ids) -> Segments:
    """Returns blocks (B,) as independent segments."""
    nothing = np.zeros(len(numbers), dtype=np.bool_)
    sides = [read_on(blocks, numbers, nothing, step) for step in (-1, 1)]
    inputs, labels = (np.stack(pair, axis=1) for pair in zip(*sides, strict=True))
    return Segments(inputs, labels, np.ones((len(numbers), 2), dtype=np.bool_), np.arange(len(numbers)))
