"""A plot of a few instances of geometry: the right answers in grey, the network's in blue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import altair
import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from daguan.report.plots import COLOURS, svg

PANEL, COLUMNS = 160, 4  # pixels, panels a row


def drawing(
    points: NDArray[np.floating], answers: NDArray[np.integer], targets: NDArray[np.integer], polygon: int
) -> str:
    """Return the plot of points (B,N,2), answers and targets (B,S) as SVG. `polygon` is the number of corners of each
    polygon, 0 where an answer is one polygon."""
    panels = [_panel(*one, polygon) for one in zip(points, answers, targets, strict=True)]
    rows = [altair.hconcat(*panels[low : low + COLUMNS], bounds="flush") for low in range(0, len(panels), COLUMNS)]
    return svg(altair.vconcat(*rows, bounds="flush"), alone=True)


def _panel(points: NDArray[np.floating], answer: NDArray[np.integer], target: NDArray[np.integer], polygon: int) -> Any:
    right = _outlines(points, target, polygon).mark_line(color="#bbbbbb", strokeWidth=5, strokeJoin="round")
    style: dict[str, Any] = {"color": COLOURS[0], "strokeWidth": 1.5, "fill": COLOURS[0], "fillOpacity": 0.12}
    dots = _placed(DataFrame(points.tolist(), columns=["x", "y"])).mark_circle(color="#333333", size=30, opacity=1)
    return altair.layer(right, _outlines(points, answer, polygon).mark_line(**style), dots)


def _outlines(points: NDArray[np.floating], sequence: NDArray[np.integer], polygon: int) -> Any:
    corners = [
        (number, place, *points[corner].tolist())
        for number, ring in enumerate(_rings(sequence, polygon))
        for place, corner in enumerate(ring)
    ]
    placed = _placed(DataFrame(corners, columns=["number", "place", "x", "y"]))
    return placed.encode(detail="number:N", order=altair.Order("place:Q"))


def _rings(sequence: NDArray[np.integer], polygon: int) -> Iterator[list[int]]:
    """Yields the corners of each polygon, the first one again at the end."""
    corners = sequence[sequence >= 0].tolist()
    size = polygon or max(1, len(corners))
    for low in range(0, len(corners), size):
        yield [*corners[low : low + size], corners[low]]


def _placed(table: DataFrame) -> Any:
    hidden: dict[str, Any] = {"axis": None, "scale": altair.Scale(domain=[-0.05, 1.05])}
    chart = altair.Chart(table, width=PANEL, height=PANEL)
    return chart.encode(x=altair.X("x:Q", **hidden), y=altair.Y("y:Q", **hidden))
