"""Indexes unlabelled text, and describes strings of tokens by how they occur in it, without any label.

The neighbours of a whole entity vary, those of a fragment of one hardly do: the entropies of the tokens to the left and
right (branching entropy: Harris 1955; Jin and Tanaka-Ishii 2006, P06-2056) separate them in any script. N ids of text,
C strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from daguan.data.lexicon import String
from daguan.data.vocabulary import SEP, UNK, Vocabulary

LONGEST = 32  # tokens of a string, a power of two; longer ones are unknown
MOST_TOKENS = 3_000_000  # the last ones of the text, where train and test stand
MOST_OCCURRENCES = 1_000  # for the entropies of a string
FEATURES = 6
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TextIndex:
    """The text as ids with its suffix array (Manber and Myers 1990), sorted by up to LONGEST tokens."""

    def __init__(self, ids: NDArray[np.integer], vocabulary: Vocabulary) -> None:
        """Stores ids (N,) of lines that each end with [SEP]; the suffix array is built on first use."""
        text = ids[-MOST_TOKENS:].astype(np.int64)
        self._vocabulary, self._size = vocabulary, len(text)
        self._ids = np.concatenate([text, np.full(LONGEST + 1, SEP)])  # so that no lookup reaches beyond the end
        counts = np.bincount(text, minlength=len(vocabulary))
        counts[UNK] = 1
        self._logs = np.log(np.maximum(counts, 1) / max(1, self._size))

    def features(self, strings: Sequence[String]) -> Floats:
        """Returns (C,FEATURES) for each string, by column:

        log(1 + count); the entropies (nats) of its left and of its right neighbours; both entropies less their upper
        bound, the log of the count; its pointwise mutual information per token. A string that does not occur, holds
        [UNK], or is longer than LONGEST counts as occurring once.
        """
        numbers: dict[String, int] = {}
        places = [numbers.setdefault(string, len(numbers)) for string in strings]
        return self._of_distinct(list(numbers))[places]

    def _of_distinct(self, strings: Sequence[String]) -> Floats:
        encoded = [self._vocabulary.encode(string) for string in strings]
        lengths = np.array([len(ids) for ids in encoded], np.int64)
        alone = np.array([self._logs[ids].sum() for ids in encoded])
        low, high = self._ranges(encoded, lengths)
        counts, ends = np.maximum(high - low, 1), np.zeros((4, len(encoded)))
        if len(several := np.flatnonzero(high - low > 1)):
            owners, starts = self._sampled(low[several], counts[several])
            left = _entropies(owners, self._ids[starts - 1], len(several))
            right = _entropies(owners, self._ids[starts + lengths[several][owners]], len(several))
            most = np.log(np.minimum(counts[several], MOST_OCCURRENCES))
            ends[:, several] = left, right, left - most, right - most
        together = (np.log(counts / max(1, self._size)) - alone) / lengths
        return np.stack([np.log1p(counts), *ends, together], 1)

    @cached_property
    def _order(self) -> Ints:
        order = _sorted_places(self._ids)
        return order[order < self._size]

    def _ranges(self, strings: Sequence[list[int]], lengths: Ints) -> tuple[Ints, Ints]:
        """Returns (C,) begin and end of each string's range in the suffix array; empty for unknown strings."""
        tokens = np.zeros((len(strings), LONGEST), np.int64)
        for row, string in zip(tokens, strings, strict=True):
            row[: len(string)] = string[:LONGEST]
        known = np.array([len(string) <= LONGEST and UNK not in string for string in strings], bool)
        low, high = np.zeros(len(strings), np.int64), np.where(known, self._size, 0)
        for offset in range(min(LONGEST, int(lengths.max(initial=0)))):
            here = np.flatnonzero(known & (lengths > offset))
            between = (low[here], high[here], offset)
            low[here], high[here] = (self._first(*between, tokens[here, offset] + one) for one in (0, 1))
        return low, high

    def _first(self, low: Ints, high: Ints, offset: int, tokens: Ints) -> Ints:
        """Returns (C,) the first place in [low, high) of the suffix array whose id at `offset` is at least `tokens`."""
        low, high = low.copy(), high.copy()
        while len(open_ := np.flatnonzero(low < high)):
            middle = (low[open_] + high[open_]) // 2
            less = self._ids[self._order[middle] + offset] < tokens[open_]
            low[open_[less]] = middle[less] + 1
            high[open_[~less]] = middle[~less]
        return low

    def _sampled(self, low: Ints, counts: Ints) -> tuple[Ints, Ints]:
        """Returns owner and text position of evenly spaced occurrences, at most MOST_OCCURRENCES of each string."""
        taken = np.minimum(counts, MOST_OCCURRENCES)
        owners = np.repeat(np.arange(len(low)), taken)
        nth = np.arange(len(owners)) - np.repeat(np.cumsum(taken) - taken, taken)
        return owners, self._order[low[owners] + nth * counts[owners] // taken[owners]]


def _sorted_places(ids: Ints) -> Ints:
    """Returns (N,) all positions, sorted by the LONGEST ids from there on and then by position.

    As many ids as fit into an integer are compared at once. Then twice as many are each time, by the ranks found so far
    (prefix doubling), but only where several positions still rank equal (Larsson and Sadakane 2007).
    """
    size, bits = len(ids), (int(ids.max()) + 1).bit_length()
    width = min(63 // bits, LONGEST)
    wide = np.concatenate([ids + 1, np.zeros(width, np.int64)])
    keys = np.zeros(size, np.int64)
    for offset in range(width):
        keys = (keys << bits) | wide[offset : offset + size]
    ranks = np.full(size + LONGEST, -1)  # the first place among equal positions; −1 beyond the end
    order = np.empty(size, np.int64)
    places = rows = np.arange(size)  # the unsettled places, and the positions that belong there
    while True:
        by_key = np.argsort(keys)
        rows, keys = rows[by_key], keys[by_key]
        begins = np.concatenate([[True], keys[1:] != keys[:-1]])
        order[places], ranks[rows] = rows, np.maximum.accumulate(np.where(begins, places, 0))
        tied = ~(begins & np.append(begins[1:], True))
        places, rows = places[tied], rows[tied]
        if not len(rows) or width == LONGEST:
            break
        step = min(width, LONGEST - width)
        keys, width = ranks[rows] * (size + 1) + ranks[rows + step] + 1, width + step
    order[places] = rows[np.argsort(ranks[rows] * size + rows)]
    return order


def _entropies(owners: Ints, neighbours: Ints, count: int) -> Floats:
    """Returns (count,) the entropy, in nats, of the neighbours of each owner."""
    pairs, times = np.unique(np.stack([owners, neighbours]), axis=1, return_counts=True)
    shares = times / np.bincount(owners, minlength=count)[pairs[0]]
    found: Floats = np.bincount(pairs[0], -shares * np.log(shares), minlength=count).astype(np.float64)
    return found
