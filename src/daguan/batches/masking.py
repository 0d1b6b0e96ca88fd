"""Masking for the masked language model: a fixed number of places a row, single tokens and n-grams mixed.

Dynamic (RoBERTa, arXiv 1907.11692 §4.1): every epoch draws afresh from its own named stream. N-gram lengths follow
p(n) ∝ 1/n (ALBERT, arXiv 1909.11942 §3.1). Labels are read before anything is overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daguan.core.settings import require
from daguan.text.vocabulary import MASK, SPECIALS, UNK

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class MaskingSettings:
    """rate: share of a row's places to predict. ngram_share: share of rows masked by n-grams, the rest singly.
    max_ngram: longest n-gram. keep, random: shares of the chosen places left as they are, or made another token."""

    rate: float = 0.2
    ngram_share: float = 0.5
    max_ngram: int = 3
    keep: float = 0.1
    random: float = 0.1

    def __post_init__(self) -> None:
        require("rate", 0 < self.rate <= 0.4, "over 0, at most 0.4", self.rate)
        require("ngram_share", 0 <= self.ngram_share <= 1, "0 to 1", self.ngram_share)
        require("max_ngram", self.max_ngram >= 1, "at least 1", self.max_ngram)
        require("keep", self.keep >= 0, "at least 0", self.keep)
        require("random", self.random >= 0, "at least 0", self.random)
        require("keep + random", self.keep + self.random <= 1, "at most 1", self.keep + self.random)


@dataclass(frozen=True, slots=True)
class Masked:
    """inputs (B,T) to read, positions (B,M) sorted within a row, labels (B,M) the original ids there."""

    inputs: Ids
    positions: Ids
    labels: Ids

    def split(self, count: int) -> list[Masked]:
        """At most `count` parts of as many rows as can be."""
        fields = (
            np.array_split(field, min(count, len(self.inputs))) for field in (self.inputs, self.positions, self.labels)
        )
        return [Masked(*part) for part in zip(*fields, strict=True)]


def places_per_row(length: int, rate: float) -> int:
    """M: the same for every row, so that tensor shapes repeat."""
    return max(1, round(length * rate))


def mask(ids: Ids, vocabulary_size: int, settings: MaskingSettings, rng: np.random.Generator) -> Masked:
    """Mask rows (B,T) of packed ids. Specials are neither chosen nor drawn; [UNK] is chosen only in rows with too few
    known tokens. (A block of one-token lines is half [SEP], and rate ≤ 0.4: then there are always M places.)
    """
    count = places_per_row(ids.shape[1], settings.rate)
    known = ids >= len(SPECIALS)
    maskable = np.where(known.sum(axis=1, keepdims=True) >= count, known, known | (ids == UNK))
    by_ngram = rng.random(len(ids)) < settings.ngram_share
    priority = rng.random(ids.shape)
    lengths = _ngram_lengths(ids.shape, settings.max_ngram, rng)
    rows = [
        _choose_ngrams(row, priority[i], lengths[i], count) if by_ngram[i] else _choose_singly(row, priority[i], count)
        for i, row in enumerate(maskable)
    ]
    positions = np.sort(np.stack(rows), axis=1)
    labels = np.take_along_axis(ids, positions, axis=1)
    inputs = ids.copy()
    np.put_along_axis(inputs, positions, _replacements(labels, vocabulary_size, settings, rng), axis=1)
    return Masked(inputs, positions, labels)


def _ngram_lengths(shape: tuple[int, ...], longest: int, rng: np.random.Generator) -> Ids:
    weights = 1 / np.arange(1, longest + 1)
    return rng.choice(np.arange(1, longest + 1), size=shape, p=weights / weights.sum())


def _choose_singly(maskable: NDArray[np.bool_], priority: NDArray[np.float64], count: int) -> Ids:
    return np.argsort(np.where(maskable, priority, 2.0), kind="stable")[:count]


def _choose_ngrams(maskable: NDArray[np.bool_], priority: NDArray[np.float64], lengths: Ids, count: int) -> Ids:
    """N-grams at random starts until `count` places are taken; the last is cut short, taken places are skipped.

    An n-gram ends before a special: it never joins two lines.
    """
    free = maskable.copy()
    chosen: list[int] = []
    for start in np.argsort(priority, kind="stable"):
        for place in range(start, min(start + lengths[start], len(free))):
            if not free[place]:
                break
            free[place] = False
            chosen.append(place)
            if len(chosen) == count:
                return np.array(chosen)
    raise AssertionError("fewer maskable places than the rate asks for")


def _replacements(labels: Ids, vocabulary_size: int, settings: MaskingSettings, rng: np.random.Generator) -> Ids:
    """What stands at the chosen places: [MASK], the token itself, or one drawn uniformly from the tokens proper."""
    draw = rng.random(labels.shape)
    if vocabulary_size > len(SPECIALS):
        others = rng.integers(len(SPECIALS), vocabulary_size, labels.shape)
    else:  # nothing is known: there is no other token to draw
        others = np.full(labels.shape, MASK)
    replaced = np.where(draw < settings.keep + settings.random, others, MASK)
    return np.where(draw < settings.keep, labels, replaced)
