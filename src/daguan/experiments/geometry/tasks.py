"""The table of the three problems of Vinyals et al. 2015 (arXiv 1506.03134, §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daguan.experiments.geometry.convex_hull import convex_hulls, measure_hulls
from daguan.experiments.geometry.delaunay import measure_triangulations, most_triangles, triangulations
from daguan.experiments.geometry.polygons import Points, Sequences
from daguan.experiments.geometry.salesman import MOST_POINTS, measure_tours, shortest_tours


@dataclass(frozen=True)
class Task:
    """A geometry problem.

    Attributes:
        solve: maps points (B,N,2) to the right sequences.
        longest: maps a number of points to the length of the longest answer.
        measure: maps points, answers and right sequences to the paper's figures.
        most_points: the largest number of points that `solve` can handle.
        is_tour: an answer names each point once.
        polygon: corners of each polygon of an answer; 0 if the answer is a single polygon.
    """

    solve: Callable[[Points], Sequences]
    longest: Callable[[int], int]
    measure: Callable[[Points, Sequences, Sequences], dict[str, float]]
    most_points: int
    is_tour: bool = False
    polygon: int = 0


TASKS = {
    "convex-hull": Task(convex_hulls, lambda size: size, measure_hulls, 500),
    "delaunay": Task(triangulations, lambda size: 3 * most_triangles(size), measure_triangulations, 50, polygon=3),
    "tsp": Task(shortest_tours, lambda size: size, measure_tours, MOST_POINTS, is_tour=True),
}
FEWEST_POINTS = 3


def draw_points(rng: np.random.Generator, count: int, size: int) -> NDArray[np.float32]:
    """Returns points (count,size,2), uniform in the unit square."""
    return rng.random((count, size, 2), dtype=np.float32)
