"""The planar travelling salesman (Vinyals et al. 2015, §4.4): shortest closed paths through all points.

A tour starts at the first point and goes counter-clockwise, as the shortest tour never crosses itself. Shapes as in
`polygons`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from daguan.experiments.geometry.polygons import Floats, Points, Sequences, backwards, perimeters, signed_areas

MOST_POINTS = 12  # memory and time double with each
MOST_NUMBERS = 1 << 24


def shortest_tours(points: Points) -> Sequences:
    """Returns the tours (B,N) of points (B,N,2), N at most MOST_POINTS; exact, by dynamic programming (Held & Karp
    1962)."""
    size = points.shape[1]
    rows = max(1, MOST_NUMBERS // (size << size))
    parts = [_shortest_tours(points[low : low + rows]) for low in range(0, len(points), rows)]
    tours = np.concatenate(parts) if parts else np.zeros((0, size), dtype=np.int64)
    return np.where(signed_areas(points, tours)[:, None] < 0, backwards(tours), tours)


def _shortest_tours(points: Points) -> Sequences:
    exact = points.astype(np.float64).transpose(1, 2, 0)
    distances = np.linalg.norm(exact[:, None] - exact[None, :], axis=2)  # (N,N,B)
    return _way_back(_shortest_ways(distances), distances)


def _shortest_ways(distances: Floats) -> Floats:
    """Returns the shortest partial paths.

    ways[V,j] is the length of the shortest path from the first point through the set V of others to its member j + 1:
    (2^(N−1),N−1,B), infinite where j is not in V.
    """
    others = len(distances) - 1
    ways = np.full((1 << others, others, distances.shape[2]), np.inf)
    for member in range(others):
        ways[1 << member, member] = distances[0, member + 1]
    for sets, members in _by_size(others):
        before = ways[sets & ~(1 << members)]
        ways[sets, members] = (before + distances[members + 1, 1:]).min(1)
    return ways


@cache
def _by_size(others: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yields every set of at least two with each of its members, sets of a size together, smaller ones first."""
    numbers = np.arange(1 << others)
    sizes = np.bitwise_count(numbers)
    found = []
    for size in range(2, others + 1):
        sets, members = np.nonzero((sizes == size)[:, None] & (numbers[:, None] >> np.arange(others) & 1 > 0))
        found.append((sets, members))
    return found


def _way_back(ways: Floats, distances: Floats) -> Sequences:
    """Returns the tours, read off from their ends."""
    others, batch = ways.shape[1:]
    rows = np.arange(batch)
    left = np.full(batch, (1 << others) - 1)
    tours = np.zeros((batch, others + 1), dtype=np.int64)
    here = np.zeros(batch, dtype=np.int64)
    for place in range(others, 0, -1):
        here = (ways[left, :, rows] + distances[here, 1:, rows]).argmin(1) + 1
        tours[:, place] = here
        left &= ~(1 << (here - 1))
    return tours


def nearest_neighbour_tours(points: Points) -> Sequences:
    """Returns the tours (B,N) that go from each point to the nearest one that is left, in O(N²) steps each."""
    rows, size = np.arange(len(points)), points.shape[1]
    exact = points.astype(np.float64)
    visited = np.zeros((len(points), size), dtype=bool)
    found = np.zeros((len(points), size), dtype=np.int64)
    for place in range(1, size):
        here = found[:, place - 1]
        visited[rows, here] = True
        ways = np.linalg.norm(exact - exact[rows, here][:, None], axis=2)
        found[:, place] = np.where(visited, np.inf, ways).argmin(1)
    return found


def measure_tours(points: Points, answers: Sequences, targets: Sequences) -> dict[str, float]:
    """Returns the paper's figures.

    length: the mean length of the answers that are tours (0 if none is); optimum: the mean length of all targets;
    valid: the share of answers that are tours; accuracy: the share that are as short as the optimum.
    """
    everywhere = np.arange(points.shape[1])
    valid = (np.sort(answers[:, : points.shape[1]], axis=1) == everywhere).all(1)
    lengths, optimum = perimeters(points, answers), perimeters(points, targets)
    return {
        "length": float(lengths[valid].mean()) if valid.any() else 0.0,
        "optimum": float(optimum.mean()),
        "valid": float(valid.mean()),
        "accuracy": float((valid & (lengths < optimum + 1e-9)).mean()),
    }
