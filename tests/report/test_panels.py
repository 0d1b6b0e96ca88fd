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


def dots(drawn: str, colour: str) -> int:
    """Return how many points of a colour stand in a panel, without that of its legend."""
    return sum('aria-label="updates: ' in piece and f'fill="{colour}"' in piece for piece in drawn.split("<path"))
