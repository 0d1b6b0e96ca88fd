"""A plot of a few instances: the right answers in grey, the network's in blue."""

from __future__ import annotations

from collections.abc import Iterator

from daguan.cli.plots.svg import document
from daguan.experiments.geometry.polygons import Points, Sequences

PANEL, MARGIN, COLUMNS = 180, 15, 4  # pixels, pixels, panels a row
RIGHT = 'fill="none" stroke="#bbb" stroke-width="5" stroke-linejoin="round"'
ANSWERED = 'fill="#2a6fdb" fill-opacity="0.12" stroke="#2a6fdb" stroke-width="1.5"'


def drawing(points: Points, answers: Sequences, targets: Sequences, polygon: int) -> str:
    """Return the plot of points (B,N,2), answers and targets (B,S) as SVG. `polygon` is the number of corners of each
    polygon, 0 where an answer is one polygon."""
    columns = min(COLUMNS, len(points))
    rows = -(-len(points) // columns)
    lines = []
    for index, (here, answer, target) in enumerate(zip(points, answers, targets, strict=True)):
        x, y = index % columns * PANEL, index // columns * PANEL
        lines.append(f'<g transform="translate({x},{y})">')
        lines += [*_polygons(here, target, polygon, RIGHT), *_polygons(here, answer, polygon, ANSWERED)]
        lines += [f'<circle cx="{px}" cy="{py}" r="3"/>' for px, py in map(_place, here)]
        lines.append("</g>")
    return document(columns * PANEL, rows * PANEL, lines)


def _polygons(points: Points, sequence: Sequences, polygon: int, style: str) -> Iterator[str]:
    corners = sequence[sequence >= 0]
    size = polygon or max(1, len(corners))
    for low in range(0, len(corners), size):
        places = " ".join("{},{}".format(*_place(points[corner])) for corner in corners[low : low + size])
        yield f'<polygon points="{places}" {style}/>'


def _place(point: Points) -> tuple[float, float]:
    """Return the pixel of a point within its panel; y goes up."""
    x, y = MARGIN + (PANEL - 2 * MARGIN) * point.astype(float)
    return round(float(x), 1), round(float(PANEL - y), 1)
