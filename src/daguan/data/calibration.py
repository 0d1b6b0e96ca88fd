"""Measures whether entities with probability p are right in a share p of cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence
from daguan.data.span_score import span_items

BINS = 10  # of equal width


def calibration(predicted: Sequence[Sentence], gold: Sequence[Sentence]) -> dict[str, Any]:
    """Returns the reliability of the predicted spans' probabilities, in total and by type.

    `{"total": …, "by_type": {label: …}}`, each as `reliability`. A span is right if its line, start, stop and label are
    those of a gold one.
    """
    labels, probabilities, right = [], [], []
    for ours, theirs in zip(predicted, gold, strict=True):
        items = span_items(theirs)
        for span in ours.gold:
            labels.append(span.label)
            probabilities.append(span.probability)
            right.append(((span.start, span.stop), span.label) in items)
    p, hits = np.array(probabilities, np.float64), np.array(right, bool)
    of_label = {label: np.array([other == label for other in labels], bool) for label in sorted(set(labels))}
    by_type = {label: reliability(p[here], hits[here]) for label, here in of_label.items()}
    return {"total": reliability(p, hits), "by_type": by_type}


def reliability(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, Any]:
    """Returns the expected calibration error (Naeini et al. 2015) of N probabilities, and the numbers of its plot.

    `ece` is the mean over the entities of |mean probability − share that is right| in their bin; `bins` are those with
    entities, from low to high.
    """
    numbers = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in np.unique(numbers).tolist():
        here = numbers == number
        bins.append(
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "entities": int(here.sum()),
                "probability": float(probabilities[here].mean()),
                "right": float(right[here].mean()),
            }
        )
    count = len(probabilities)
    gaps = sum(one["entities"] * abs(one["probability"] - one["right"]) for one in bins)
    return {
        "entities": count,
        "probability": float(probabilities.mean()) if count else 0.0,
        "right": float(right.mean()) if count else 0.0,
        "ece": gaps / count if count else 0.0,
        "bins": bins,
    }
