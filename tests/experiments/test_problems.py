"""Right answers against brute force and scipy, and what the measures must not depend on."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Delaunay

from daguan.experiments.geometry import convex_hull, delaunay, salesman
from daguan.experiments.geometry.polygons import backwards, perimeters, same_cycles, signed_areas
from daguan.experiments.geometry.tasks import TASKS, draw_points

SIZES = (3, 4, 5, 9, 20)


def instances(size: int, count: int = 60) -> np.ndarray:
    return draw_points(np.random.default_rng(size), count, size)


def rows(sequences: np.ndarray) -> list[list[int]]:
    return [row[row >= 0].tolist() for row in sequences]


@pytest.mark.parametrize("size", SIZES)
def test_hulls_are_scipy_s_from_the_lowest_index(size: int) -> None:
    points = instances(size)
    for here, hull in zip(points.astype(float), rows(convex_hull.convex_hulls(points)), strict=True):
        corners = ConvexHull(here).vertices
        assert hull == np.roll(corners, -corners.argmin()).tolist()


def test_hulls_are_those_of_brute_force() -> None:
    """An edge of the hull, and no other one, has all points to its left."""
    points = instances(6, 40)
    for here, hull in zip(points.astype(float), rows(convex_hull.convex_hulls(points)), strict=True):
        edges = set()
        for start, stop in permutations(range(6), 2):
            (x, y), ways = here[stop] - here[start], here - here[start]
            if all(x * ways[:, 1] - y * ways[:, 0] >= 0):
                edges.add((start, stop))
        assert set(zip(hull, hull[1:] + hull[:1], strict=True)) == edges


@pytest.mark.parametrize("size", SIZES)
def test_triangulations_are_scipy_s_in_the_order_of_incentres(size: int) -> None:
    points = instances(size)
    for here, answer in zip(points.astype(float), rows(delaunay.triangulations(points)), strict=True):
        triangles = [tuple(answer[low : low + 3]) for low in range(0, len(answer), 3)]
        assert set(triangles) == {tuple(sorted(one)) for one in Delaunay(here).simplices.tolist()}
        assert len(set(triangles)) == len(triangles)
        incentres = [incentre(here[list(triangle)]) for triangle in triangles]
        assert incentres == sorted(incentres)


def incentre(corners: np.ndarray) -> tuple[float, float]:
    sides = [float(np.linalg.norm(corners[(i + 1) % 3] - corners[(i + 2) % 3])) for i in range(3)]
    x, y = sum(side * corner for side, corner in zip(sides, corners, strict=True)) / sum(sides)
    return float(x), float(y)


@pytest.mark.parametrize("size", [3, 4, 6, 7])
def test_tours_are_the_shortest_of_all_permutations(size: int) -> None:
    points = instances(size, 20)
    tours = salesman.shortest_tours(points)
    every = np.array([[0, *order] for order in permutations(range(1, size))])
    for here, tour in zip(points, tours, strict=True):
        shortest = perimeters(np.repeat(here[None], len(every), axis=0), every).min()
        assert np.isclose(perimeters(here[None], tour[None])[0], shortest)
    assert (np.sort(tours, axis=1) == np.arange(size)).all()
    assert (tours[:, 0] == 0).all()
    assert (signed_areas(points, tours) > 0).all()


@pytest.mark.parametrize("task", TASKS)
def test_an_instance_is_solved_alike_in_any_batch(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = instances(7, 30)
    together = TASKS[task].solve(points)
    order = np.random.default_rng(0).permutation(30)
    assert (TASKS[task].solve(points[order]) == together[order]).all()
    monkeypatch.setattr(delaunay, "MOST_NUMBERS", 1000)
    monkeypatch.setattr(salesman, "MOST_NUMBERS", 3000)
    assert (TASKS[task].solve(points) == together).all()


@pytest.mark.parametrize("task", TASKS)
def test_right_answers_are_measured_as_right_and_fit(task: str) -> None:
    points = instances(6)
    right = TASKS[task].solve(points)
    measured = TASKS[task].measure(points, right, right)
    assert measured.pop("length", 0) == measured.pop("optimum", 0)
    assert set(measured.values()) == {1.0}
    assert max(map(len, rows(right))) <= TASKS[task].longest(6)
    nothing = TASKS[task].measure(points, np.full_like(right, -1), right)
    nothing.pop("optimum", 0)
    assert set(nothing.values()) == {0.0}


def test_measures_of_hulls_and_tours_do_not_depend_on_where_an_answer_starts_nor_on_its_sense() -> None:
    points = instances(6)
    hulls, tours = convex_hull.convex_hulls(points), salesman.shortest_tours(points)
    wrong = np.where(np.arange(60)[:, None] % 2 == 0, hulls, -1)
    wrong[1::2, :3] = [0, 1, 2]
    turned = np.full_like(wrong, -1)
    for row, answer in enumerate(rows(wrong)):
        turned[row, : len(answer)] = np.roll(answer, row)
    before = convex_hull.measure_hulls(points, wrong, hulls)
    assert 0.5 <= before["accuracy"] < 1
    for other in (turned, backwards(turned)):
        assert convex_hull.measure_hulls(points, other, hulls) == pytest.approx(before)
    elsewhere = np.roll(tours, 2, axis=1)
    assert salesman.measure_tours(points, elsewhere, tours)["accuracy"] == 1
    assert same_cycles(elsewhere, tours).all()


def test_area_is_of_simple_polygons_alone() -> None:
    square = np.array([[[0, 0], [1, 0], [1, 1], [0, 1]]] * 4, dtype=float)
    hull = np.array([[0, 1, 2, 3]] * 4)
    answers = np.array([[0, 1, 2, 3], [0, 2, 1, 3], [1, 2, 3, -1], [0, 0, -1, -1]])
    measured = convex_hull.measure_hulls(square, answers, hull)
    assert measured == {"accuracy": 0.25, "area": 0.75, "simple": 0.5}


def test_triangles_count_in_any_order_once() -> None:
    points = instances(5, 1)
    right = delaunay.triangulations(points)
    (answer,) = rows(right)
    triangles = [answer[low : low + 3] for low in range(0, len(answer), 3)]
    shuffled = np.array([[corner for one in reversed(triangles) for corner in reversed(one)]])
    assert delaunay.measure_triangulations(points, shuffled, right) == {"accuracy": 1.0, "coverage": 1.0}
    twice = np.array([triangles[0] * len(triangles)])
    expected = {"accuracy": 0.0, "coverage": 1 / len(triangles)}
    assert delaunay.measure_triangulations(points, twice, right) == pytest.approx(expected)
    left_over = np.append(shuffled, [[triangles[0][0]]], axis=1)
    assert delaunay.measure_triangulations(points, left_over, right) == {"accuracy": 0.0, "coverage": 1.0}


def test_every_triangle_of_a_delaunay_triangulation_has_an_empty_circle() -> None:
    for here, answer in zip(instances(7).astype(float), rows(delaunay.triangulations(instances(7))), strict=True):
        triangles = {tuple(answer[low : low + 3]) for low in range(0, len(answer), 3)}
        for triple in combinations(range(7), 3):
            centre, radius = circle(here[list(triple)])
            inside = np.linalg.norm(here - centre, axis=1) < radius * (1 - 1e-9)
            assert (not inside.any()) == (triple in triangles)


def circle(corners: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and radius: equally far from all three."""
    squares = (corners**2).sum(1)
    centre = np.linalg.solve(2 * (corners[1:] - corners[0]), squares[1:] - squares[0])
    return centre, float(np.linalg.norm(corners[0] - centre))
