"""A pointer network's figures as a table and as a plot."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from daguan.cli.plots.geometry import drawing
from daguan.cli.tables.geometry import COLUMNS, PAPER, cell, print_measured
from daguan.experiments.geometry.tasks import TASKS, draw_points


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


@pytest.mark.parametrize("task", TASKS)
def test_a_plot_has_a_panel_an_instance_and_each_polygon_twice(task: str) -> None:
    points = draw_points(np.random.default_rng(0), 6, 5)
    right = TASKS[task].solve(points)
    panels = ElementTree.fromstring(drawing(points, right, right, TASKS[task].polygon)).findall("{*}g")
    assert len(panels) == 6
    for panel, row in zip(panels, right, strict=True):
        polygons = panel.findall("{*}polygon")
        assert len(polygons) == 2 * ((row >= 0).sum() // 3 if TASKS[task].polygon else 1)
        assert polygons[0].get("points") == polygons[len(polygons) // 2].get("points")
        assert len(panel.findall("{*}circle")) == 5


def test_a_plot_of_no_answer_shows_what_is_right() -> None:
    points = draw_points(np.random.default_rng(0), 1, 5)
    right = TASKS["convex-hull"].solve(points)
    drawn = ElementTree.fromstring(drawing(points, np.full_like(right, -1), right, 0))
    assert len(drawn.findall(".//{*}polygon")) == 1
