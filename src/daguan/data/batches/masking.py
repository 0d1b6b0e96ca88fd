"""Masks rows for the masked language model: a fixed number of places each, single tokens and n-grams mixed.

Masking is dynamic (RoBERTa, arXiv 1907.11692 §4.1), every update draws from its own named stream, unless
`static_masks` gives each row masks of its own. Labels are read before anything is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from daguan.core.needs import Need, over_zero
from daguan.core.settings import Section, require, setting
from daguan.data.vocabulary import MASK, SPECIALS, UNK

Ids = NDArray[np.int64]
MOST = 0.4  # the highest rate: half of a block of one-token lines is [SEP]
RATE_STEPS = 8  # a schedule has few rates, so that tensor shapes repeat
LENGTHS: dict[str, Callable[[Ids], NDArray[np.floating]]] = {
    "inverse": lambda n: 1 / n,
    "geometric": lambda n: np.power(0.8, n),
    "uniform": lambda n: np.ones(len(n)),
}
BY_NGRAMS = over_zero("pretrain.masking.ngram_share")


class MaskingSettings(Section):
    """Which places of a row are masked in pretraining, and what stands there instead. `mass` reads `keep` and `random`
    alone, `causal` nothing of it."""

    rate: float = setting(0.2, "Share of a row's places to predict.", gt=0, le=MOST)
    final_rate: float = setting(
        0.0,
        f"The rate at the end of the run, reached linearly in {RATE_STEPS} steps (GPT-BERT, Charpentier & Samuel 2024: "
        "from 0.3 to 0.15); 0 stays at `rate`.",
        ge=0,
        le=MOST,
    )
    ngram_share: float = setting(
        0.5, "Share of rows masked by n-grams, the others by single tokens: 0 is random masking.", ge=0, le=1
    )
    max_ngram: int = setting(3, "The longest n-gram.", ge=1, reads_when=BY_NGRAMS)
    ngram_lengths: str = setting(
        "inverse",
        "How long n-grams are before the last is cut short: `inverse`, p(n) ∝ 1/n (ALBERT, arXiv 1909.11942 §3.1); "
        "`geometric`, p(n) ∝ 0.8ⁿ (SpanBERT, arXiv 1907.10529 §3.1, with max_ngram 10); `uniform` (GPT-BERT, 1 to 3).",
        choices=LENGTHS, reads_when=BY_NGRAMS,
    )  # fmt: skip
    keep: float = setting(
        0.1,
        "Share of the chosen places that keep their token, each place drawn by itself (ALBERT; SpanBERT draws once a "
        "span); rtd and all_tokens mask every chosen place.",
        ge=0,
    )
    random: float = setting(0.1, "Share of the chosen places that get another token, drawn uniformly.", ge=0)
    static_masks: int = setting(
        0,
        "Number of masks that a block has in the whole run, which its epochs take in turn: static masking (Devlin et "
        "al. 2019, arXiv 1810.04805, has 10); 0 draws another mask in every epoch: dynamic masking (Liu et al. 2019, "
        "arXiv 1907.11692 §4.1).",
        ge=0,
        reads_when=Need("pretrain.masking.final_rate is 0", lambda whole: not whole.pretrain.masking.final_rate),
    )

    def check(self) -> None:
        require("keep + random", self.keep + self.random <= 1, "at most 1", self.keep + self.random)

    def at(self, done: int, updates: int) -> MaskingSettings:
        """Returns the settings, at a fixed rate, for the update after `done` finished ones of `updates`."""
        step = done * RATE_STEPS // updates / (RATE_STEPS - 1)
        rate = self.rate + step * (self.final_rate - self.rate) if self.final_rate else self.rate
        return self.replace(rate=rate, final_rate=0.0)


@dataclass(frozen=True)
class Rows:
    """Arrays of B rows each, which one update reads."""

    def split(self, count: int) -> list[Self]:
        """Splits the rows into at most `count` parts of nearly equal size."""
        values = [getattr(self, field.name) for field in fields(self)]
        parts = (np.array_split(value, min(count, len(value))) for value in values)
        return [type(self)(*part) for part in zip(*parts, strict=True)]

    def pinned(self) -> Self:
        """Returns the same with tensors in pinned memory in place of arrays: a GPU copies them while it computes."""
        import torch  # settings read this module, and load nothing slow

        return replace(self, **{of.name: torch.from_numpy(getattr(self, of.name)).pin_memory() for of in fields(self)})


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


def mask_statically(
    ids: Ids, vocabulary_size: int, settings: MaskingSettings, rngs: Iterable[np.random.Generator]
) -> Masked:
    """Masks rows (B,T) as `mask` does, each by a generator of its own: equal generators give a row equal masks."""
    rows = [mask(row[None], vocabulary_size, settings, rng) for row, rng in zip(ids, rngs, strict=True)]
    names = (field.name for field in fields(Masked))
    return Masked(*(np.concatenate([getattr(row, name) for row in rows]) for name in names))


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
