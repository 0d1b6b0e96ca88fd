"""Panels of plots: every series shows, also one of a single point."""

from __future__ import annotations

import pytest

from daguan.report import plots
from daguan.report.plots import COLOURS


@pytest.mark.parametrize("mark", ["line", "point"])
@pytest.mark.parametrize("alone", [0, 1])
def test_a_series_of_one_point_is_drawn(mark: str, alone: int) -> None:
    points = [[(0.0, 1.0), (1.0, 2.0)], [(0.5, 1.5)]]
    series = {"first": points[alone], "second": points[1 - alone]}
    drawn = plots.svg(plots.panel("Losses", "updates", "loss", series, mark, False), alone=True)
    assert dots(drawn, COLOURS[0]) == len(series["first"])
    assert dots(drawn, COLOURS[1]) == len(series["second"])


@pytest.mark.parametrize("mark", ["line", "point"])
def test_series_of_one_colour_have_other_forms(mark: str) -> None:
    series = {str(number): [(0.0, number), (1.0, number)] for number in range(len(COLOURS) + 1)}
    channel = {"line": "strokeDash", "point": "shape"}[mark]
    scales = {
        name: encoding["scale"]["range"]
        for name, encoding in plots.panel("Losses", "updates", "loss", series, mark, False)
        .to_dict()["encoding"]
        .items()
        if name in ("color", channel)
    }
    assert scales["color"][0] == scales["color"][-1]
    forms = list(zip(scales["color"], map(str, scales[channel]), strict=True))
    assert len(set(forms)) == len(series)


@pytest.mark.parametrize("mark", ["line", "point"])
def test_each_of_several_panels_has_one_legend_of_its_own_series(mark: str) -> None:
    panels = [plots.panel(name, "x", "y", {name: [(0.0, 1.0), (1.0, 2.0)]}, mark, False) for name in ("one", "two")]
    drawn = plots.svg(plots.beside(panels), alone=True)
    assert drawn.count('aria-roledescription="legend"') == 2


def test_a_strip_has_a_row_for_each_series_in_their_order() -> None:
    series = {"second": [(1.0, 1.0), (2.0, 2.0)], "first": [(3.0, 1.0)]}
    drawn = plots.svg(plots.panel("Answers", "F1", "", series, "strip", False), alone=True)
    assert 0 < drawn.index(">second</text>") < drawn.index(">first</text>")
    assert [
        drawn.count(f'aria-label="F1: {x}; series: {name}"') for name, x in [("second", 1), ("second", 2), ("first", 3)]
    ] == [1, 1, 1]


def dots(drawn: str, colour: str) -> int:
    """Return how many points of a colour stand in a panel, without that of its legend."""
    return sum('aria-label="updates: ' in piece and f'fill="{colour}"' in piece for piece in drawn.split("<path"))
