"""The claims of papers as a list, and one claim's outcome as tables and a plot."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daguan.cli.tables.text import print_table
from daguan.core.files import write_text
from daguan.core.settings import Section
from daguan.experiments.claims.claim import Column, Part
from daguan.experiments.claims.parts import claim_of
from daguan.experiments.claims.running import Compared, Outcome
from daguan.experiments.claims.table import CLAIMS
from daguan.experiments.geometry.tasks import TASKS
from daguan.experiments.pointer_settings import PointingSettings

Rows = list[tuple[str, ...]]
PLOT = "plot.svg"
NONE = "–"
NUMBERS = ("sides", "seeds", "minutes")
GEOMETRY = "Vinyals et al. 2015: a pointer network learns this problem from examples"
COMPARISONS = ("claim", "paper", "difference", "95 % interval", "seeds", "verdict")
FACTS = ("exact", "note", "ours", "paper", "verdict")


def claim_list() -> list[dict[str, Any]]:
    """Returns each claim with its one line, its paper, what it trains and its settings, as JSON can hold it; the
    minutes are an estimate for two cores."""
    return [_task(name) if name in TASKS else _claim(name) for name in (*TASKS, *CLAIMS)]


def _task(name: str) -> dict[str, Any]:
    minutes = PointingSettings().minutes
    about = {"claim": name, "says": GEOMETRY, "paper": "arXiv 1506.03134", "trains": "a pointer network"}
    return {**about, "sides": 1, "seeds": 1, "minutes": minutes, "settings": _meanings(PointingSettings)}


def _claim(name: str) -> dict[str, Any]:
    claim, row = claim_of(name), CLAIMS[name]
    chosen = claim.settings()
    about = {"claim": name, "says": row.about, "paper": claim.paper, "trains": row.trains}
    numbers = {"sides": len(claim.sides(chosen)), "seeds": chosen.seeds, "minutes": row.minutes}
    return {**about, **numbers, "settings": _meanings(claim.settings)}


def _meanings(settings: type[Section]) -> dict[str, dict[str, Any]]:
    return {
        name: {"default": field.default, "meaning": field.description or ""}
        for name, field in settings.model_fields.items()
    }


def print_claims() -> None:
    """Print a row for each claim."""
    rows = [
        (one["claim"], f"{one['says']}. Trains {one['trains']}.", *(f"{one[name]:g}" for name in NUMBERS))
        for one in claim_list()
    ]
    print_table(("claim", "says", *NUMBERS), rows)
    print(
        "Minutes are estimates for two cores. `daguan reproduce CLAIM --settings` shows a claim's settings.", flush=True
    )


def print_settings(name: str) -> None:
    """Print the settings of a claim, with their defaults and what they mean."""
    about = _task(name) if name in TASKS else _claim(name)
    print(f"{name}: {about['says']}. Trains {about['trains']}.\n{about['paper']}\n", flush=True)
    rows = [(f"{key}={_word(one['default'])}", one["meaning"]) for key, one in about["settings"].items()]
    print_table(("setting", "meaning"), rows)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def draw(outcome: Outcome) -> Path:
    """Write the claim's plot into its folder, and return its path."""
    from daguan.report import plots

    panels = outcome.claim.plot(outcome.parts, outcome.chosen)
    path = outcome.folder / PLOT
    write_text(path, plots.svg(plots.beside([plots.panel(**vars(panel)) for panel in panels]), alone=True))
    return path


def print_outcome(outcome: Outcome, plot: Path) -> None:
    """Print the sides, the comparisons and the facts, each beside the paper's figures, and the verdict."""
    print(f"{outcome.claim.paper}\n", flush=True)
    for header, rows in tables_of(outcome):
        print_table(header, rows)
    print(f"{outcome.name}: {outcome.verdict}; {outcome.seconds:,.0f} s of training; {plot}", flush=True)


def tables_of(outcome: Outcome) -> list[tuple[tuple[str, ...], Rows]]:
    """Returns the tables of an outcome that have rows, each with its header, without figures that no side has."""
    titles, there = outcome.claim.columns, {figure for part in outcome.parts for figure in part.figures}
    columns = {figure: column for figure, column in titles.items() if figure in there}
    sides = list(dict.fromkeys(part.side for part in outcome.parts))
    of_sides = [(side, *(cell(outcome.parts, side, *column) for column in columns.items())) for side in sides]
    of_facts: Rows = [
        (fact.name, fact.note, f"{fact.ours:,.10g}", fact.paper, "agrees" if fact.agrees else "differs")
        for fact in outcome.facts
    ]
    tables: list[tuple[tuple[str, ...], Rows]] = [
        (("side", *(column.title for column in columns.values())), of_sides),
        (COMPARISONS, [_compared(one, titles.get(one.comparison.figure)) for one in outcome.compared]),
        (FACTS, of_facts),
    ]
    return [(header, rows) for header, rows in tables if rows]


def cell(parts: Sequence[Part], side: str, figure: str, column: Column) -> str:
    """Returns the mean of a side's figure ± its standard deviation over the seeds, a dash where it has none."""
    values = [column.factor * part.figures[figure] for part in parts if part.side == side and figure in part.figures]
    if not values:
        return NONE
    mean = f"{statistics.fmean(values):,.{column.digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):,.{column.digits}f}"


def _compared(one: Compared, column: Column | None) -> tuple[str, ...]:
    shown, of = column or Column(one.comparison.figure), one.comparison
    ends = (one.interval.low, one.interval.high)
    mean, low, high = (
        NONE if value is None else f"{shown.factor * value:+,.{shown.digits}f}" for value in (one.interval.mean, *ends)
    )
    claim = f"{shown.title}: {of.side} {'over' if of.sign > 0 else 'under'} {of.other}"
    return (claim, of.paper, mean, f"{low} to {high}", str(one.seeds), one.verdict)
