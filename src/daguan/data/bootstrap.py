"""Computes the intervals and the gains of F1 by a bootstrap over lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.seeds import stream
from daguan.core.types import Score

RESAMPLES = 1000
PAIRED_RESAMPLES = 5000  # so that a p-value of .01 is known to ±.003


def bootstrap_interval(lines: Sequence[Score], resamples: int = RESAMPLES) -> tuple[float, float]:
    """Returns the 95 % percentile interval of F1 over lines drawn with replacement; the draw is always the same."""
    low, high = np.quantile(resampled_f1(lines, resamples), (0.025, 0.975))
    return float(low), float(high)


def resampled_f1(lines: Sequence[Score], resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Returns (resamples,) F1 over lines drawn with replacement, the same lines for as many lines."""
    return _f1(_resampled(_counts(lines), resamples))


@dataclass(frozen=True)
class Gain:
    """The difference of two F1 on the same lines.

    Attributes:
        f1: the difference.
        interval: its 95 % interval.
        p_value: the share of resamples without a gain, one-sided. A small one says that the gain does not hang on
            which lines were drawn; it is not the probability that the gain came by chance.
    """

    f1: float
    interval: tuple[float, float]
    p_value: float

    def to_json(self) -> dict[str, Any]:
        return {"f1": self.f1, "interval": list(self.interval), "p": self.p_value}


def paired_gain(ours: Sequence[Score], theirs: Sequence[Score], resamples: int = PAIRED_RESAMPLES) -> Gain:
    """Returns the gain of `ours` over `theirs` by a paired bootstrap over lines.

    The method is that of Koehn 2004, "Statistical significance tests for machine translation evaluation", §3. The
    one-sided p-value is the share of resamples without a gain, with the sample itself counted (Davison & Hinkley 1997,
    §4.2.1).
    """
    return paired_gains(ours, [theirs], resamples)[0]


def paired_gains(
    ours: Sequence[Score], others: Sequence[Sequence[Score]], resamples: int = PAIRED_RESAMPLES
) -> list[Gain]:
    """Returns the gain over each of several others, all on the same resamples."""
    counts = np.concatenate([_counts(lines) for lines in (ours, *others)], axis=1)
    whole = _f1(counts.sum(0).reshape(-1, 2))
    sampled = _f1(_resampled(counts, resamples).reshape(resamples, -1, 2))
    gains = sampled[:, :1] - sampled[:, 1:]
    lows, highs = np.quantile(gains, (0.025, 0.975), axis=0)
    p_values = (1 + (gains <= 0).sum(0)) / (1 + resamples)
    return [
        Gain(float(whole[0] - f1), (float(low), float(high)), float(p_value))
        for f1, low, high, p_value in zip(whole[1:], lows, highs, p_values, strict=True)
    ]


def _counts(lines: Sequence[Score]) -> NDArray[np.float64]:
    """Returns (lines,2): hits, and predicted + gold. Whole numbers, so that sums are exact."""
    counts = np.array([(line.hits, line.predicted + line.gold) for line in lines], dtype=np.float64)
    return counts.reshape(-1, 2)


def _resampled(counts: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    """Returns (resamples,C): sums of counts (lines,C) over as many lines, drawn with replacement."""
    rng, size = stream(0, "bootstrap"), len(counts)
    sums = np.zeros((resamples, counts.shape[1]))
    for row in sums if size else ():
        row[:] = np.bincount(rng.integers(0, size, size), minlength=size) @ counts
    return sums


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (…,) F1 of counts (…,2): hits, and predicted + gold. 0/0 is 0."""
    hits, total = counts[..., 0], counts[..., 1]
    f1: NDArray[np.float64] = 2 * hits / np.where(total, total, 1)
    return f1
