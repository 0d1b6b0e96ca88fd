"""Plots as SVG, described with Altair and drawn by vl-convert.

Text and lines take the colour of the page around them, so that a plot fits into a light and a dark page. A plot that is
a file of its own has a white background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

import altair
import vl_convert
from pandas import DataFrame

COLOURS = (  # six of Okabe and Ito 2008, and two that are as far from these to the colour-blind
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8250e6", "#a05032",
)  # fmt: skip
DOTS: dict[str, Any] = {"filled": True, "size": 24, "opacity": 0.7}
SHAPES = ("circle", "square", "triangle-up", "diamond")
DASHES = ([1, 0], [5, 2], [2, 2], [7, 2, 2, 2])
INK, FAINT = "currentColor", "#88888844"
FONT = 'system-ui, -apple-system, "Segoe UI", sans-serif'
WIDTH, HEIGHT = 420, 220  # pixels
PADDING = {"left": 14, "right": 14, "top": 5, "bottom": 5}  # fonts may be wider than the measured one


def svg(chart: Any, alone: bool = False) -> str:
    """Returns a chart as SVG; alone: as a file, not as part of a page."""
    ink = "#333333" if alone else INK
    colours = {"labelColor": ink, "titleColor": ink}
    titles = {**colours, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11}
    styled = (
        chart.configure(background="white" if alone else "transparent", font=FONT, padding=PADDING)
        .configure_axis(grid=True, gridColor=FAINT, domain=False, tickColor=FAINT, **titles)
        .configure_legend(orient="top", title=None, labelLimit=260, columns=2, **titles)
        .configure_header(labelFontWeight="normal", **colours)
        .configure_title(color=ink, fontSize=12, fontWeight="normal", anchor="start")
        .configure_view(stroke=None)
    )
    with altair.data_transformers.enable("default", max_rows=None):
        return str(vl_convert.vegalite_to_svg(styled.to_dict(validate=False), vl_version="6.4"))


def curves(table: DataFrame, across: str, up: str, titles: tuple[str, str]) -> Any:
    """Returns lines of a column over another one, a colour for each run and a dash for each job of it."""
    base = altair.Chart(table, width=WIDTH, height=HEIGHT)
    names = sorted(table["run"].unique())
    return base.mark_line(point={"size": 14}, strokeWidth=1.6).encode(
        x=altair.X(across, type="quantitative", title=titles[0], axis=altair.Axis(format="~s", tickCount=6)),
        y=altair.Y(up, type="quantitative", title=titles[1], scale=altair.Scale(zero=False)),
        color=altair.Color("run:N", scale=altair.Scale(domain=names, range=_colours(len(names)))),
        strokeDash=altair.StrokeDash("job:N", legend=None, scale=altair.Scale(range=list(DASHES))),
        order=altair.Order(across, type="quantitative"),
        description=altair.Text("hint:N"),
    )


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def scores(table: DataFrame, title: str, order: Sequence[str], tracks: Sequence[str]) -> Any:
    """Returns a point for F1 of each class and track; columns `class`, `track`, `f1`, `hint`."""
    base = altair.Chart(table, width=WIDTH - 80, height=max(60, 26 * len(order)), title=title)
    return base.mark_point(filled=True, size=70, opacity=0.9).encode(
        x=altair.X("f1:Q", title="span F1, %", scale=altair.Scale(domain=[0, 100])),
        y=altair.Y("class:N", title=None, sort=list(order)),
        color=altair.Color("track:N", scale=altair.Scale(domain=list(tracks), range=_colours(len(tracks)))),
        shape=altair.Shape("track:N", scale=altair.Scale(domain=list(tracks))),
        description=altair.Text("hint:N"),
    )


def reliability(table: DataFrame, title: str) -> Any:
    """Returns the share of right entities over their mean probability, with the diagonal that a calibrated answer
    follows; columns `probability`, `right`, `entities`, `hint`."""
    axis = altair.Scale(domain=[0, 1])
    diagonal = (
        altair.Chart(DataFrame({"x": [0, 1], "y": [0, 1]}))
        .mark_line(strokeDash=[4, 3], color="#888888", strokeWidth=1)
        .encode(x=altair.X("x:Q", scale=axis, title="probability"), y=altair.Y("y:Q", scale=axis, title="share right"))
    )
    line = altair.Chart(table).mark_line(color=COLOURS[0], strokeWidth=1.6).encode(x="probability:Q", y="right:Q")
    points = (
        altair.Chart(table)
        .mark_point(filled=True, color=COLOURS[0], opacity=0.9)
        .encode(
            x="probability:Q",
            y="right:Q",
            size=altair.Size("entities:Q", legend=None, scale=altair.Scale(range=[20, 400])),
            description=altair.Text("hint:N"),
        )
    )
    return altair.layer(diagonal, line, points).properties(width=WIDTH - 80, height=HEIGHT, title=title)


def history(points: Sequence[tuple[int, float]]) -> Any:
    """Returns F1 in percent of each trial, with a line through the best so far."""
    best = accumulate((f1 for _, f1 in points), max)
    table = DataFrame(
        [(*point, high) for point, high in zip(points, best, strict=True)], columns=["trial", "f1", "best"]
    )
    base = altair.Chart(table, width=WIDTH, height=HEIGHT)
    across = altair.X("trial:Q", title="trial", axis=altair.Axis(format="d", tickMinStep=1))
    up: dict[str, Any] = {"title": "F1, %", "scale": altair.Scale(zero=False)}
    dots = base.mark_point(filled=True, color="#888888", size=40).encode(across, altair.Y("f1:Q", **up))
    line = base.mark_line(color=COLOURS[0], interpolate="step-after").encode(across, altair.Y("best:Q", **up))
    return altair.layer(line, dots)


def bars(values: Sequence[tuple[str, float]], title: str) -> Any:
    """Returns a bar for each name, in their order."""
    table = DataFrame(values, columns=["name", "value"])
    base = altair.Chart(table, width=420, height=max(40, 24 * len(table))).encode(
        x=altair.X("value:Q", title=title),
        y=altair.Y("name:N", title=None, sort=None, axis=altair.Axis(labelLimit=320)),
    )
    text = base.mark_text(align="left", dx=4, color=INK).encode(text=altair.Text("value:Q", format=".3f"))
    return base.mark_bar(color=COLOURS[0]) + text


def panel(
    title: str, across: str, up: str, series: Mapping[str, Sequence[tuple[float, float]]], mark: str, log: bool
) -> Any:
    """Returns points by the name of their series: joined by lines for the mark `line`, where a series of one point is a
    dot; for `strip` a row for each series, with the first numbers of its points across. log: of the axis across."""
    rows = [(name, x, y, place) for name, points in series.items() for place, (x, y) in enumerate(points)]
    base = altair.Chart(DataFrame(rows, columns=["series", "x", "y", "place"]), width=WIDTH, height=HEIGHT, title=title)
    scale = altair.Scale(type="log" if log else "linear", zero=False)
    base = base.encode(x=altair.X("x:Q", title=across, scale=scale, axis=altair.Axis(labelSeparation=8)))
    names = [*series]
    if mark == "strip":
        drawn = base.mark_point(**DOTS, color=COLOURS[0])
        return drawn.encode(y=altair.Y("series:N", title=None, sort=names))

    def by_series(channel: Any, values: Sequence[Any]) -> Any:
        return channel("series:N", scale=altair.Scale(domain=names, range=[*values]))

    rounds = [number // len(COLOURS) for number in range(len(names))]  # a colour that comes again has another form
    if mark == "line":
        drawn = base.mark_line(strokeWidth=1.6, point=altair.OverlayMarkDef(filled=True, size=20))
        drawn = drawn.encode(strokeDash=by_series(altair.StrokeDash, [DASHES[one % len(DASHES)] for one in rounds]))
    else:
        drawn = base.mark_point(**DOTS)
        drawn = drawn.encode(shape=by_series(altair.Shape, [SHAPES[one % len(SHAPES)] for one in rounds]))
    return drawn.encode(
        y=altair.Y("y:Q", title=up, scale=altair.Scale(zero=False)),
        color=by_series(altair.Color, _colours(len(names))),
        order=altair.Order("place:Q"),
    )


def beside(charts: Sequence[Any]) -> Any:
    """Returns charts in rows of two, each with its own colours, forms and axes."""
    own: Literal["independent"] = "independent"
    return altair.concat(*charts, columns=2).resolve_scale(color=own, shape=own, strokeDash=own, x=own, y=own)
