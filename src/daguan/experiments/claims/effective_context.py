"""The relative effective context length of a group of models (RECL; Dai et al. 2019, arXiv 1901.02860, appendix C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_GAIN = 0.01
Losses = NDArray[np.float64]  # (C,N): with each of C contexts, on N tokens, in nats


def relative_gains(losses: Mapping[str, Losses], share: float) -> dict[str, list[float]]:
    """Returns for each model the gain of each context over the one before it, C − 1 of them.

    The baseline of a token is the lowest loss that any model has with the shorter context. Only tokens count whose
    baseline is among the `share` highest. A model's gain is by how much, relatively, its perplexity falls below that of
    the shorter context if each loss counts where it is below the baseline, and the baseline elsewhere.
    """
    contexts = len(next(iter(losses.values())))
    gains: dict[str, list[float]] = {name: [] for name in losses}
    for shorter in range(contexts - 1):
        baseline = np.min([one[shorter] for one in losses.values()], axis=0)
        count = max(1, round(share * len(baseline)))
        hardest = np.argsort(-baseline, kind="stable")[:count]
        for name, one in losses.items():
            before, after = (np.exp(np.minimum(baseline, row)[hardest].mean()) for row in one[shorter : shorter + 2])
            gains[name].append(float((before - after) / before))
    return gains


def effective_context(gains: Sequence[float], contexts: Sequence[int]) -> int:
    """Returns the first context after which the next longer one gains less than LEAST_GAIN; the last one if none is."""
    for context, gain in zip(contexts, gains, strict=False):
        if gain < LEAST_GAIN:
            return context
    return contexts[-1]
