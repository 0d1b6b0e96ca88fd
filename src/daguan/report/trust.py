"""How far advice that follows from the worth of members can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def checked(by_fold: Mapping[str, Sequence[float]]) -> dict[str, float] | None:
    """Returns how the advice to leave out the least worthy member fares; None with fewer than three members, of which
    leaving one out leaves a blend, or two folds.

    For each fold the advice follows from the other folds, and its outcome is on the lines of the fold: `advised` and
    `random`, the mean gain of F1 without the advised member and without one drawn at random; `better`, the share of
    folds in which the advised one is the better choice.
    """
    table = np.array([*by_fold.values()])  # (members, folds)
    if len(table) < 3 or table.shape[1] < 2:
        return None
    others = table.sum(1, keepdims=True) - table
    advised = -table[others.argmin(0), np.arange(table.shape[1])]
    drawn = -table.mean(0)
    return {
        "advised": float(advised.mean()),
        "random": float(drawn.mean()),
        "better": float((advised > drawn).mean()),
        "folds": float(table.shape[1]),
    }
