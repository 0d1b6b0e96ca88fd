"""The page of a study: its trials, what the settings are worth, and which trials are best."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pandas import DataFrame

from daguan.api import frames
from daguan.core.quantity import quantity
from daguan.core.runs import environment
from daguan.pipeline.tuning.optuna_study import importances
from daguan.pipeline.tuning.settings import Axis
from daguan.pipeline.tuning.study import Study
from daguan.pipeline.tuning.trials import COMPLETE, Trial, best_of, pareto_front
from daguan.report import plots, study_plots
from daguan.report.history import machine_facts
from daguan.report.page import Card, Page
from daguan.report.study_plots import text_of
from daguan.report.tables import Column, count, percent, table, tenth, thousandth


def study_page(study: Study, trials: Sequence[Trial], words: Sequence[str], f1_on_other_folds: float | None) -> Page:
    """Returns the report of a study.

    words: of the command line that names its configuration; f1_on_other_folds: of the best trial, on the folds that no
    trial was scored on.
    """
    shares = importances(study.space, trials)
    return Page(
        title=f"Study {study.folder.name}",
        subtitle=f"{len(trials)} of {quantity(study.settings.trials, 'trial')} of the member {study.settings.member}, "
        f"scored on {quantity(study.settings.folds, 'fold')}.",
        cards=[*_cards(trials, f1_on_other_folds)],
        sections=[_trials(trials), _settings(study.space.axes, trials, shares), _making(study, words)],
    )


def _cards(trials: Sequence[Trial], f1_on_other_folds: float | None) -> Iterator[Card]:
    if (best := best_of(trials)) and best.outcome:
        yield Card("Best span F1", percent(best.outcome.f1), f"trial {best.index}, the best of many on the same lines")
    if f1_on_other_folds is not None:
        yield Card("On other folds", percent(f1_on_other_folds), "the same trial where nothing was chosen: trust this")
    states = [trial.state for trial in trials]
    others = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states) if state != COMPLETE)
    yield Card("Complete trials", count(states.count(COMPLETE)), others)
    seconds = sum(trial.outcome.seconds for trial in trials if trial.outcome)
    yield Card("Training", f"{seconds / 60:,.1f} min", "of scored trials, pretraining included")


def _trials(trials: Sequence[Trial]) -> dict[str, Any]:
    scored = [(trial.index, 100 * trial.outcome.f1) for trial in trials if trial.outcome]
    drawn = []
    if scored:
        title = "F1 against seconds; the line joins the trials that none beats in both"
        drawn = [("F1 of each trial, and the best so far", plots.svg(plots.history(scored)))]
        drawn.append((title, plots.svg(study_plots.cost(trials))))
    if (steps := study_plots.evaluations(trials)) is not None:
        drawn.append(("evaluations on the first fold", plots.svg(steps)))
    return {
        "id": "trials",
        "title": "Trials",
        "text": "" if scored else "No trial has a score yet.",
        "parts": [
            {"plots": drawn},
            _table("Trials that none beats in both F1 and seconds", pareto_front(trials)),
            _table("All trials", trials),
        ],
    }


def _table(title: str, trials: Sequence[Trial]) -> Any:
    frame = frames.trials(trials)
    known = ("trial", "state", "f1", "seconds", "reason")
    searched = [name for name in frame.columns if name not in known]
    for name in searched:
        frame[name] = [text_of(value) if value is not None and value == value else "" for value in frame[name]]
    columns = [
        Column("trial", "trial", count), Column("state", "state"), Column("f1", "F1", percent),
        Column("seconds", "seconds", tenth), *(Column(name, name) for name in searched),
        Column("reason", "reason", wide=True),
    ]  # fmt: skip
    return table(title, frame, columns)


def _settings(axes: Mapping[str, Axis], trials: Sequence[Trial], shares: Mapping[str, float]) -> dict[str, Any]:
    parts: list[Any] = []
    if any(trial.outcome for trial in trials):
        title, lines = "each line is a trial, through its settings to its F1", study_plots.parallel(trials, axes)
        parts.append({"plots": [(title, plots.svg(lines))], "wide": True})
    if shares:
        importance = DataFrame(shares.items(), columns=["setting", "importance"])
        drawn = [("share of the variation of F1, by PED-ANOVA", plots.svg(plots.bars([*shares.items()], "importance")))]
        columns = [Column("setting", "setting"), Column("importance", "importance", thousandth)]
        note = "Optuna's PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255) over the finished trials."
        parts += [{"plots": drawn}, table("Importance of each setting", importance, columns, note)]
    parts.append({"plots": [(f"F1 by {path}", plots.svg(one)) for path, one in study_plots.slices(trials, axes)]})
    return {"id": "settings", "title": "Settings", "text": "", "parts": parts}


def _making(study: Study, words: Sequence[str]) -> dict[str, Any]:
    named, here = shlex.join(words), environment()
    commands = f"daguan tune {named}\ndaguan report {named} --of study\ndaguan train {study.folder / 'best.yaml'}"
    space = [(path, _range(axis)) for path, axis in study.space.axes.items()]
    settings = study.settings
    facts = [
        ("folder", str(study.folder)),
        ("objective", settings.objective),
        ("pruner", settings.pruner),
        ("first trials drawn evenly", str(settings.startup)),
        ("seed", str(study.seed)),
        ("commit", f"{here['commit']} (this report)"),
        *machine_facts(here),
    ]
    return {
        "id": "making",
        "title": "How it was made",
        "text": "",
        "parts": [
            {"title": "Commands", "code": commands.replace("  ", " ")},
            {"title": "What was searched", "facts": space},
            {"title": "Facts", "facts": facts},
        ],
    }


def _range(axis: Axis) -> str:
    """Returns the values that an axis has, for a reader."""
    if axis.choices:
        values = ", ".join(map(text_of, axis.choices))
    else:
        step = f" in steps of {axis.step:g}" if axis.step else ""
        values = f"{axis.low:g} to {axis.high:g}{step}{', by its logarithm' if axis.log else ''}"
    when = " and ".join(f"{path} is {text_of(value)}" for path, value in axis.when.items())
    return f"{values}, where {when}" if when else values
