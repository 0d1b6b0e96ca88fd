"""SVG documents and two small plots: points over a number with the best so far, and named bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import accumulate

WIDTH, HEIGHT, MARGIN = 720, 360, 60
BAR, NAMES = 24, 280
TICKS = 5
INK, FAINT, COLOUR = "#333", "#ccc", "#3366aa"


def curve(points: Sequence[tuple[float, float]], across: str, up: str) -> str:
    """Return a plot of points with a line through the highest so far."""
    if not points:
        return document(WIDTH, HEIGHT, [_label(WIDTH / 2, HEIGHT / 2, "nothing yet", "middle")])
    xs, ys = zip(*points, strict=True)
    x_scale = _Scale(min(xs), max(xs), MARGIN, WIDTH - MARGIN / 2)
    y_scale = _Scale(min(ys), max(ys), HEIGHT - MARGIN, MARGIN / 2)
    best = " ".join(f"{x_scale(x):.1f},{y_scale(y):.1f}" for x, y in zip(xs, accumulate(ys, max), strict=True))
    marks = [f'<polyline points="{best}" fill="none" stroke="{COLOUR}" stroke-width="2"/>']
    marks += [f'<circle cx="{x_scale(x):.1f}" cy="{y_scale(y):.1f}" r="3" fill="{INK}"/>' for x, y in points]
    for x in x_scale.ticks:
        marks.append(_label(x_scale(x), HEIGHT - MARGIN + 20, f"{x:g}", "middle"))
    for y in y_scale.ticks:
        marks.append(f'<path d="M{MARGIN} {y_scale(y):.1f}H{WIDTH - MARGIN / 2}" stroke="{FAINT}"/>')
        marks.append(_label(MARGIN - 8, y_scale(y) + 4, f"{y:.4g}", "end"))
    marks.append(_label(WIDTH / 2, HEIGHT - 12, across, "middle"))
    marks.append(_label(8, 18, up, "start"))
    return document(WIDTH, HEIGHT, marks)


def bars(values: Sequence[tuple[str, float]], title: str) -> str:
    """Return a plot with one bar for each name, scaled to the largest value."""
    largest = max((value for _, value in values), default=0.0) or 1.0
    marks = [_label(8, 18, title, "start")]
    for number, (name, value) in enumerate(values):
        y = 30 + BAR * number
        length = (WIDTH - NAMES - MARGIN) * value / largest
        marks.append(f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR - 8}" fill="{COLOUR}"/>')
        marks.append(_label(NAMES - 8, y + BAR - 12, name, "end"))
        marks.append(_label(NAMES + length + 6, y + BAR - 12, f"{value:.3f}", "start"))
    return document(WIDTH, 40 + BAR * len(values), marks)


class _Scale:
    """A linear scale from values to pixels, with a margin at both ends."""

    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        air = 0.05 * (high - low) or 1.0
        self.low, self.high, self.start, self.stop = low - air, high + air, start, stop
        step = (high - low) / (TICKS - 1)
        self.ticks = [low + step * number for number in range(TICKS)] if step else [low]

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'


def document(width: int, height: int, marks: Sequence[str]) -> str:
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
    body = "\n".join(marks)
    return f'{opening}font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
