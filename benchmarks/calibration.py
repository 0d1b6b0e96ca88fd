"""The expected calibration error of a tagger's probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BINS = 15  # as Guo et al. and Müller et al. take


def calibration_error(answers: Sequence[NDArray[np.floating]], gold: Sequence[NDArray[np.int64]]) -> float:
    """Expected calibration error over tokens (Guo et al. 2017, arXiv 1706.04599 §2): the likeliest tags' probabilities
    go into bins of equal width; the mean of |share that is right - mean probability|, weighted by the bins' tokens.

    answers: (T,K) marginals a line. gold: (T,) tags a line."""
    probs = np.concatenate(answers).astype(np.float64)
    confidence, right = probs.max(1), probs.argmax(1) == np.concatenate(gold)
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    differences = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(differences).sum() / len(probs))
