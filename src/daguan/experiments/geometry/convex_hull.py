"""Convex hulls (Vinyals et al. 2015, §4.2): corners counter-clockwise from the lowest index.

The paper's figure closes the hull by repeating its first corner; here END closes it, which says the same in one step
less. Shapes as in `polygons`.
"""

from __future__ import annotations

import numpy as np

from daguan.experiments.geometry.polygons import Points, Sequences, are_simple, from_lowest, same_cycles, signed_areas

FAIL_SHARE = 0.01  # share of outputs that are no simple polygon; above it the paper gives no area


def convex_hulls(points: Points) -> Sequences:
    """Returns the hulls (B,N) of points (B,N,2) by gift wrapping.

    It starts at the lowest point; the next corner is at the least turn. If several points lie on a line with two
    corners, which has probability 0, any of them may be taken.
    """
    exact = points.astype(np.float64)
    rows, size = np.arange(len(points)), points.shape[1]
    hulls = np.full((len(points), size), -1, dtype=np.int64)
    start = exact[:, :, 1].argmin(1)
    here, direction = start, np.zeros(len(points))
    open_ = np.ones(len(points), dtype=bool)
    for step in range(size):
        hulls[open_, step] = here[open_]
        ways = exact - exact[rows, here][:, None]
        turns = (np.arctan2(ways[:, :, 1], ways[:, :, 0]) - direction[:, None]) % (2 * np.pi)
        turns[rows, here] = np.inf
        following = turns.argmin(1)
        direction = direction + turns[rows, following]
        here = following
        open_ &= here != start
        if not open_.any():
            break
    return from_lowest(hulls)


def measure_hulls(points: Points, answers: Sequences, targets: Sequences) -> dict[str, float]:
    """Returns the paper's figures.

    accuracy: the share of answers that are the hull; area: the mean share of the hull's area that is covered, over
    answers that are simple polygons (0 if none is); simple: the share of simple polygons.
    """
    simple = are_simple(points, answers)
    covered = np.abs(signed_areas(points, answers)[simple]) / signed_areas(points, targets)[simple]
    return {
        "accuracy": float(same_cycles(answers, targets).mean()),
        "area": float(covered.mean()) if simple.any() else 0.0,
        "simple": float(simple.mean()),
    }
