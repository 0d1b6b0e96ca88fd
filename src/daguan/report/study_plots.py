"""Plots of a study: F1 against seconds, evaluations on the way, and F1 over the settings that were searched."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair
from pandas import DataFrame

from daguan.pipeline.tuning.settings import Axis
from daguan.pipeline.tuning.trials import Trial, fold_of, pareto_front
from daguan.report.plots import COLOURS, HEIGHT, INK, WIDTH

RISING = ("#8089dd", "#22a39a", "#c8b400")  # read on light and dark, and by the colour-blind
F1 = "F1"


def parallel(trials: Sequence[Trial], axes: Mapping[str, Axis]) -> Any:
    """Returns a line for each scored trial through its settings, each on an axis of its own, and its F1."""
    scored = [trial for trial in trials if trial.outcome]
    f1s = [100 * trial.outcome.f1 for trial in scored if trial.outcome]
    low, high = min(f1s), max(f1s)
    rows = [
        (trial.index, path, place, f1)
        for trial, f1 in zip(scored, f1s, strict=True)
        for path, place in [*_places(trial, axes), (F1, (f1 - low) / (high - low or 1))]
    ]
    order, table = [*axes, F1], DataFrame(rows, columns=["trial", "setting", "place", "f1"])
    table["hint"] = [f"trial {row.trial}: F1 {row.f1:.2f}" for row in table.itertuples()]
    across = altair.X("setting:N", sort=order, title=None, axis=altair.Axis(labelAngle=0, labelLimit=150))
    up = altair.Y("place:Q", axis=None, scale=altair.Scale(domain=[-0.08, 1.08]))
    colour = altair.Color("f1:Q", scale=altair.Scale(range=[*RISING]), legend=altair.Legend(format=".1f"))
    lines = altair.Chart(table).mark_line(strokeWidth=1.4, opacity=0.75)
    drawn = lines.encode(across, up, colour, detail="trial:N", order=altair.Order("_place:Q"))
    drawn = drawn.transform_calculate(_place=f"indexof({json.dumps(order)}, datum.setting)")
    points = altair.Chart(table).mark_point(filled=True, size=22, opacity=0.9)
    marks = points.encode(across, up, colour, description=altair.Text("hint:N"))
    ends = [*_named(axes), (F1, 0.0, f"{low:.2f}"), (F1, 1.0, f"{high:.2f}")]
    named = DataFrame(ends, columns=["setting", "place", "name"])
    text = altair.Chart(named).mark_text(align="left", dx=4, dy=-9, fontSize=10, color=INK)
    names = text.encode(across, up, text="name:N")
    return altair.layer(drawn, marks, names).properties(width=max(WIDTH, 118 * len(order)), height=HEIGHT + 40)


def _places(trial: Trial, axes: Mapping[str, Axis]) -> Iterator[tuple[str, float]]:
    """Yields where the values of a trial are on their axes, from 0 to 1."""
    for path, value in trial.parameters.items():
        if path in axes:
            yield path, place(axes[path], value)


def place(axis: Axis, value: Any) -> float:
    """Returns where a value is on its axis: 0 for the lowest, or the first choice, and 1 for the highest or last."""
    if axis.choices:
        return axis.choices.index(value) / max(1, len(axis.choices) - 1)
    low, high, at = (math.log(one) if axis.log else float(one) for one in (axis.low, axis.high, value))
    return (at - low) / (high - low)


def _named(axes: Mapping[str, Axis]) -> Iterator[tuple[str, float, str]]:
    """Yields the values that are named beside each axis."""
    for path, axis in axes.items():
        for value in axis.choices or (axis.low, axis.high):
            yield path, place(axis, value), text_of(value)


def text_of(value: Any) -> str:
    """Returns a value as a reader sees it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{value:.4g}"


def slices(trials: Sequence[Trial], axes: Mapping[str, Axis]) -> Iterator[tuple[str, Any]]:
    """Yields for each setting a plot of F1 over its values, a point for each scored trial."""
    for path, axis in axes.items():
        rows = [
            (trial.parameters[path], 100 * trial.outcome.f1, f"trial {trial.index}: F1 {100 * trial.outcome.f1:.2f}")
            for trial in trials
            if trial.outcome and path in trial.parameters
        ]
        if rows:
            yield path, _slice(DataFrame(rows, columns=["value", "f1", "hint"]), path, axis)


def _slice(table: DataFrame, path: str, axis: Axis) -> Any:
    if axis.choices:
        table["value"] = table["value"].map(text_of)
        across = altair.X("value:N", title=path, sort=[*map(text_of, axis.choices)], axis=altair.Axis(labelAngle=0))
    else:
        scale = altair.Scale(type="log" if axis.log else "linear", domain=[axis.low, axis.high])
        across = altair.X("value:Q", title=path, scale=scale, axis=altair.Axis(format="~g", tickCount=5))
    points = altair.Chart(table, width=WIDTH - 80, height=HEIGHT - 40)
    up = altair.Y("f1:Q", title="F1, %", scale=altair.Scale(zero=False))
    hints = altair.Text("hint:N")
    return points.mark_point(filled=True, size=44, opacity=0.7, color=COLOURS[0]).encode(across, up, description=hints)


def cost(trials: Sequence[Trial]) -> Any:
    """Returns a point for F1 and seconds of each scored trial, and a line through those that none beats in both."""
    front = {trial.index for trial in pareto_front(trials)}
    rows = [
        (trial.index, trial.index in front, trial.outcome.seconds, 100 * trial.outcome.f1)
        for trial in trials
        if trial.outcome
    ]
    table = DataFrame(rows, columns=["trial", "front", "seconds", "f1"])
    table["hint"] = [f"trial {row.trial}: F1 {row.f1:.2f}, {row.seconds:,.0f} s" for row in table.itertuples()]
    across = altair.X("seconds:Q", title="seconds", axis=altair.Axis(format="~s", tickCount=6))
    up = altair.Y("f1:Q", title="F1, %", scale=altair.Scale(zero=False))
    line = altair.Chart(table[table["front"]]).mark_line(color=COLOURS[0], interpolate="step-after", strokeWidth=1.6)
    points = altair.Chart(table).mark_point(filled=True, size=44, opacity=0.9)
    two = altair.Scale(domain=[True, False], range=[COLOURS[0], "#888888"])
    colour = altair.Color("front:N", legend=None, scale=two)
    drawn = points.encode(across, up, colour, description=altair.Text("hint:N"))
    return altair.layer(line.encode(across, up), drawn).properties(width=WIDTH, height=HEIGHT)


def evaluations(trials: Sequence[Trial]) -> Any:
    """Returns a line for each trial through its evaluations on the first fold; None where no trial has two."""
    rows = [
        (trial.index, trial.state, step, 100 * f1, f"trial {trial.index}, {trial.state}: F1 {100 * f1:.2f} at {step} %")
        for trial in trials
        for step, f1 in trial.steps.items()
        if fold_of(step) == 0
    ]
    table = DataFrame(rows, columns=["trial", "state", "share", "f1", "hint"])
    if not (table["trial"].value_counts() > 1).any():
        return None
    states = sorted(table["state"].unique())
    colour = altair.Color("state:N", scale=altair.Scale(domain=states, range=[*COLOURS[: len(states)]]))
    return (
        altair.Chart(table, width=WIDTH, height=HEIGHT)
        .mark_line(point={"size": 16}, strokeWidth=1.3, opacity=0.8)
        .encode(
            altair.X("share:Q", title="share of the first fold's training, %"),
            altair.Y("f1:Q", title="F1, %", scale=altair.Scale(zero=False)),
            colour,
            detail="trial:N",
            order=altair.Order("share:Q"),
            description=altair.Text("hint:N"),
        )
    )
