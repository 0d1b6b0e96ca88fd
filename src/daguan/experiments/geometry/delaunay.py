"""Delaunay triangulations (Vinyals et al. 2015, §4.3): triangles in the order of their incentres.

The corners of each triangle are in increasing order. Shapes as in `polygons`; a sequence has three places for each
triangle.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from daguan.experiments.geometry.polygons import Bools, Floats, Points, Sequences, lengths_of

MOST_NUMBERS = 1 << 22  # in one array
ROUNDING = 1e-14


def most_triangles(size: int) -> int:
    """Returns the largest number of triangles of that number of points, by Euler: three points are on the hull."""
    return 2 * size - 5


def triangulations(points: Points) -> Sequences:
    """Returns the triangulations (B,3·(2N−5)) of points (B,N,2)."""
    per_instance = len(_triples(points.shape[1])) * points.shape[1]
    rows = max(1, MOST_NUMBERS // per_instance)
    parts = [_triangulations(points[low : low + rows]) for low in range(0, len(points), rows)]
    return np.concatenate(parts) if parts else np.zeros((0, 3 * most_triangles(points.shape[1])), dtype=np.int64)


def _triangulations(points: Points) -> Sequences:
    triples, exact = _triples(points.shape[1]), points.astype(np.float64)
    x, y = _incentres(exact[:, triples])
    kept = _empty_circles(exact, triples)
    order = np.lexsort((y, x, ~kept), axis=1)[:, : most_triangles(points.shape[1])]
    found = np.where(np.take_along_axis(kept, order, axis=1)[:, :, None], triples[order], -1)
    return found.reshape(len(points), -1)


@cache
def _triples(size: int) -> NDArray[np.int64]:
    """Returns all triples (T,3), each increasing."""
    return np.array(list(combinations(range(size), 3)), dtype=np.int64)


def _empty_circles(points: Floats, triples: NDArray[np.int64]) -> Bools:
    """Returns (B,T): whether no point lies within the circle through the three.

    Lifted onto the paraboloid z = x² + y², a point lies within the circle iff it lies below the plane through the
    three: all points against all planes are one product of matrices (B,T,3)·(B,3,N).
    """
    lifted = np.concatenate([points, (points**2).sum(2, keepdims=True)], axis=2)
    first, second, third = (lifted[:, triples[:, corner]] for corner in range(3))
    normals = np.cross(second - first, third - first)
    normals *= np.sign(normals[:, :, 2:])
    heights = normals @ lifted.transpose(0, 2, 1) - (normals * first).sum(2)[:, :, None]
    return np.asarray(heights.min(2) > -ROUNDING)


def _incentres(corners: Floats) -> tuple[Floats, Floats]:
    """Returns x and y (B,T) of corners (B,T,3,2): the corners' mean, weighted by the opposite sides."""
    opposite = np.linalg.norm(np.roll(corners, -1, axis=2) - np.roll(corners, 1, axis=2), axis=3)
    centres = (opposite[:, :, :, None] * corners).sum(2) / opposite.sum(2)[:, :, None]
    return centres[:, :, 0], centres[:, :, 1]


def measure_triangulations(points: Points, answers: Sequences, targets: Sequences) -> dict[str, float]:
    """Returns the paper's figures.

    accuracy: the share of answers that are the triangulation as a set of triangles; coverage: the share of all
    triangles that were answered.
    """
    size = points.shape[1]
    answered, expected = _codes(answers, size), _codes(targets, size)
    found = (expected[:, :, None] == answered[:, None, :]).any(2) & (expected >= 0)
    there = (expected >= 0).sum(1)
    whole = (found.sum(1) == there) & (lengths_of(answers) == 3 * there)
    return {"accuracy": float(whole.mean()), "coverage": float(found.sum() / there.sum())}


def _codes(sequences: Sequences, size: int) -> NDArray[np.int64]:
    """Returns (B,S//3): one number for each whole triangle, independent of the order of its corners; −1 for none."""
    triangles = np.sort(sequences[:, : sequences.shape[1] // 3 * 3].reshape(len(sequences), -1, 3), axis=2)
    codes = (triangles * np.array([size * size, size, 1])).sum(2)
    return np.where((triangles >= 0).all(2), codes, -1)
