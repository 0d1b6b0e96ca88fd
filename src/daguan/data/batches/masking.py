"""Masks rows for the masked language model: a fixed number of places each, single tokens and n-grams mixed.

Masking is dynamic (RoBERTa, arXiv 1907.11692 §4.1): every epoch draws from its own named stream. Labels are read before
anything is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from daguan.core.settings import Need, require
from daguan.data.vocabulary import MASK, SPECIALS, UNK

Ids = NDArray[np.int64]
MOST = 0.4  # the highest rate: half of a block of one-token lines is [SEP]
RATE_STEPS = 8  # a schedule has few rates, so that tensor shapes repeat
LENGTHS: dict[str, Callable[[Ids], NDArray[np.floating]]] = {
    "inverse": lambda n: 1 / n,
    "geometric": lambda n: np.power(0.8, n),
    "uniform": lambda n: np.ones(len(n)),
}


@dataclass(frozen=True)
class MaskingSettings:
    """rate: share of a row's places to predict. final_rate: its rate at the end of the run, falling or rising linearly
    in RATE_STEPS steps (GPT-BERT, Charpentier & Samuel 2024: 0.3 to 0.15); 0 keeps to `rate`. ngram_share: share of
    rows masked by n-grams, the rest singly: 0 is random masking, 1 n-grams or spans alone. max_ngram: longest n-gram.
    ngram_lengths: how long n-grams are before the last is cut short: `inverse`, p(n) ∝ 1/n (ALBERT, arXiv 1909.11942
    §3.1); `geometric`, p(n) ∝ 0.8ⁿ (SpanBERT, arXiv 1907.10529 §3.1, whose max_ngram is 10); `uniform` (GPT-BERT, 1 to
    3). keep, random: shares of the chosen places left as they are, or made another token, each place by itself (ALBERT;
    SpanBERT draws once a span); rtd and all_tokens mask all. mass reads these two alone, causal none of all this."""

    rate: float = 0.2
    final_rate: float = 0.0
    ngram_share: float = 0.5
    max_ngram: int = 3
    ngram_lengths: str = "inverse"
    keep: float = 0.1
    random: float = 0.1
    NEEDS: ClassVar[tuple[Need[MaskingSettings], ...]] = tuple(
        Need(name, "pretrain.masking.ngram_share is over 0", lambda made: made.ngram_share > 0)
        for name in ("max_ngram", "ngram_lengths")
    )

    def __post_init__(self) -> None:
        require("rate", 0 < self.rate <= MOST, f"over 0, at most {MOST}", self.rate)
        require("final_rate", 0 <= self.final_rate <= MOST, f"0 to {MOST}", self.final_rate)
        require("ngram_share", 0 <= self.ngram_share <= 1, "0 to 1", self.ngram_share)
        require("ngram_lengths", self.ngram_lengths in LENGTHS, " or ".join(LENGTHS), self.ngram_lengths)
        require("max_ngram", self.max_ngram >= 1, "at least 1", self.max_ngram)
        require("keep", self.keep >= 0, "at least 0", self.keep)
        require("random", self.random >= 0, "at least 0", self.random)
        require("keep + random", self.keep + self.random <= 1, "at most 1", self.keep + self.random)

    def at(self, done: int, updates: int) -> MaskingSettings:
        """Returns the settings, at a fixed rate, for the update after `done` finished ones of `updates`."""
        step = done * RATE_STEPS // updates / (RATE_STEPS - 1)
        rate = self.rate + step * (self.final_rate - self.rate) if self.final_rate else self.rate
        return replace(self, rate=rate, final_rate=0.0)


@dataclass(frozen=True)
class Rows:
    """Arrays of B rows each, which one update reads."""

    def split(self, count: int) -> list[Self]:
        """Splits the rows into at most `count` parts of nearly equal size."""
        values = [getattr(self, field.name) for field in fields(self)]
        parts = (np.array_split(value, min(count, len(value))) for value in values)
        return [type(self)(*part) for part in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Masked(Rows):
    """Masked rows.

    Attributes:
        inputs: (B,T) the ids to read.
        positions: (B,M) the masked places, sorted within a row.
        labels: (B,M) the original ids there.
    """

    inputs: Ids
    positions: Ids
    labels: Ids


def places_per_row(length: int, rate: float) -> int:
    """Returns M, the same for every row, so that tensor shapes repeat."""
    return max(1, round(length * rate))


def mask(ids: Ids, vocabulary_size: int, settings: MaskingSettings, rng: np.random.Generator) -> Masked:
    """Masks rows (B,T) of packed ids at `settings.rate`.

    Special tokens are neither chosen nor drawn; [UNK] is chosen only in rows with too few known tokens. A rate of at
    most MOST guarantees M maskable places.
    """
    count = places_per_row(ids.shape[1], settings.rate)
    known = ids >= len(SPECIALS)
    maskable = np.where(known.sum(axis=1, keepdims=True) >= count, known, known | (ids == UNK))
    by_ngram = rng.random(len(ids)) < settings.ngram_share
    priority = rng.random(ids.shape)
    lengths = _ngram_lengths(ids.shape, settings, rng)
    rows = [
        _choose_ngrams(row, priority[i], lengths[i], count) if by_ngram[i] else _choose_singly(row, priority[i], count)
        for i, row in enumerate(maskable)
    ]
    positions = np.sort(np.stack(rows), axis=1)
    labels = np.take_along_axis(ids, positions, axis=1)
    inputs = ids.copy()
    np.put_along_axis(inputs, positions, replacements(labels, vocabulary_size, settings, rng), axis=1)
    return Masked(inputs, positions, labels)


def _ngram_lengths(shape: tuple[int, ...], settings: MaskingSettings, rng: np.random.Generator) -> Ids:
    lengths = np.arange(1, settings.max_ngram + 1)
    weights = LENGTHS[settings.ngram_lengths](lengths)
    return rng.choice(lengths, size=shape, p=weights / weights.sum())


def _choose_singly(maskable: NDArray[np.bool_], priority: NDArray[np.float64], count: int) -> Ids:
    return np.argsort(np.where(maskable, priority, 2.0), kind="stable")[:count]


def _choose_ngrams(maskable: NDArray[np.bool_], priority: NDArray[np.float64], lengths: Ids, count: int) -> Ids:
    """Returns `count` places: n-grams at random starts, the last one cut short, taken places skipped.

    An n-gram ends before a special token, so it never joins two lines.
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


def replacements(labels: Ids, vocabulary_size: int, settings: MaskingSettings, rng: np.random.Generator) -> Ids:
    """Returns what the model reads at the chosen places: [MASK], the token itself, or a random ordinary token."""
    draw = rng.random(labels.shape)
    if vocabulary_size > len(SPECIALS):
        others = rng.integers(len(SPECIALS), vocabulary_size, labels.shape)
    else:  # the vocabulary is empty: there is no other token to draw
        others = np.full(labels.shape, MASK)
    replaced = np.where(draw < settings.keep + settings.random, others, MASK)
    return np.where(draw < settings.keep, labels, replaced)
