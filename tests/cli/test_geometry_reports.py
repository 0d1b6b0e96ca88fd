"""A pointer network's figures as a table and as a plot."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from daguan.cli.tables.geometry import COLUMNS, PAPER, cell, print_measured
from daguan.experiments.geometry.tasks import TASKS, draw_points
from daguan.report.polygons import drawing


def test_no_area_is_given_where_over_one_percent_is_no_simple_polygon() -> None:
    assert cell({"area": 0.995, "simple": 0.99}, "area") == "99.50"
    assert cell({"area": 0.995, "simple": 0.9899}, "area") == "FAIL"


@pytest.mark.parametrize(("task", "size"), [*PAPER, ("tsp", 7)])
def test_every_row_has_its_cells(task: str, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    points = draw_points(np.random.default_rng(0), 5, 5)
    right = TASKS[task].solve(points)
    print_measured(task, size, TASKS[task].measure(points, right, right))
    told = capsys.readouterr().out
    assert all(title in told for title in COLUMNS[task].values())
    assert all(name in told and cells[0] in told for name, cells in PAPER.get((task, size), {}).items())
    assert told.count("the paper") == len(PAPER.get((task, size), {}))


def marks(drawn: str, role: str) -> list[ElementTree.Element]:
    return [one for one in ElementTree.fromstring(drawn).iter() if one.get("aria-roledescription") == role]


@pytest.mark.parametrize("task", TASKS)
def test_a_plot_has_each_polygon_twice_and_each_point_once(task: str) -> None:
    points = draw_points(np.random.default_rng(0), 6, 5)
    right = TASKS[task].solve(points)
    drawn = drawing(points, right, right, TASKS[task].polygon)
    polygons = sum((row >= 0).sum() // 3 if TASKS[task].polygon else 1 for row in right)
    lines = marks(drawn, "line mark")
    assert len(lines) == 2 * polygons
    assert sorted(one.get("d", "") for one in lines)[::2] == sorted(one.get("d", "") for one in lines)[1::2]
    assert len(marks(drawn, "circle")) == 6 * 5


def test_a_plot_of_no_answer_shows_what_is_right() -> None:
    points = draw_points(np.random.default_rng(0), 1, 5)
    right = TASKS["convex-hull"].solve(points)
    assert len(marks(drawing(points, np.full_like(right, -1), right, 0), "line mark")) == 1
