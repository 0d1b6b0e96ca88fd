"""A study as tables, plots and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daguan.cli.tables.text import print_table
from daguan.core.files import write_json, write_text
from daguan.core.quantity import quantity
from daguan.core.types import Score
from daguan.pipeline.tune import TRIALS
from daguan.pipeline.tuning.trials import COMPLETE, Trial, best_of, pareto_front

HISTORY, IMPORTANCES = "history.svg", "importances.svg"
Rows = Sequence[tuple[str, ...]]
HEADER = ("trial", "parameters", "state", "F1", "seconds")


def write_study(folder: Path, trials: Sequence[Trial], shares: Mapping[str, float], score: Score | None) -> None:
    """Write study.md, trials.json and the plots; score: the best trial's on the folds that no trial was scored on."""
    from daguan.report import plots

    write_json(folder / TRIALS, study_record(trials, shares, score))
    points = [(trial.index, 100 * trial.outcome.f1) for trial in trials if trial.outcome]
    write_text(folder / HISTORY, plots.svg(plots.history(points), alone=True))
    write_text(folder / IMPORTANCES, plots.svg(plots.bars([*shares.items()], "importance"), alone=True))
    write_text(folder / "study.md", _page(trials, shares, score))


def study_record(trials: Sequence[Trial], shares: Mapping[str, float], score: Score | None) -> dict[str, Any]:
    """Return all trials, the best and its F1 on the other folds, the Pareto front and the importances as JSON."""
    best = best_of(trials)
    return {
        "best": best.index if best else None,
        "f1_on_other_folds": score.f1 if score else None,
        "pareto_front": [trial.index for trial in pareto_front(trials)],
        "importances": dict(shares),
        "trials": [asdict(trial) for trial in trials],
    }


def print_study(trials: Sequence[Trial], shares: Mapping[str, float], score: Score | None) -> None:
    """Print the trials, the Pareto front and the importances."""
    print_table(HEADER, [_row(trial) for trial in trials])
    print_table(("front", *HEADER[1:]), [_row(trial) for trial in pareto_front(trials)])
    print_table(("setting", "importance"), [(path, f"{share:.3f}") for path, share in shares.items()])
    print(_judged(trials, score))


def _judged(trials: Sequence[Trial], score: Score | None) -> str:
    best = best_of(trials)
    if not (best and best.outcome and score):
        return "The best trial is scored on the folds that no trial was scored on when all trials are finished."
    return (
        f"The best trial, {best.index}, has F1 {100 * best.outcome.f1:.2f}, the best of many on the same lines; on the "
        f"folds that no trial was scored on it has {100 * score.f1:.2f}."
    )


def _page(trials: Sequence[Trial], shares: Mapping[str, float], score: Score | None) -> str:
    best = best_of(trials)
    done = sum(trial.state == COMPLETE for trial in trials)
    reasons = [(str(trial.index), trial.reason) for trial in trials if trial.reason]
    parts = [
        "# Study",
        f"{quantity(len(trials), 'trial')}, {done} complete"
        + (f"; the best is {best.index}: `best.yaml`." if best else "."),
        _judged(trials, score),
        f"![F1 of each trial, and the best so far]({HISTORY})",
        "## F1 against seconds: the trials that none beats in both",
        _table(HEADER, [_row(trial) for trial in pareto_front(trials)]),
        "## Importance of each setting",
        f"![importances]({IMPORTANCES})",
        _table(("setting", "importance"), [(path, f"{share:.3f}") for path, share in shares.items()]),
        "## All trials",
        _table(HEADER, [_row(trial) for trial in trials]),
        *(["## Not run to the end", _table(("trial", "reason"), reasons)] if reasons else []),
    ]
    return "\n\n".join(parts) + "\n"


def _row(trial: Trial) -> tuple[str, ...]:
    figures = (f"{100 * trial.outcome.f1:.2f}", f"{trial.outcome.seconds:.0f}") if trial.outcome else ("–", "–")
    parameters = ", ".join(f"{path}={_text(value)}" for path, value in trial.parameters.items())
    return (str(trial.index), parameters, trial.state, *figures)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(header: tuple[str, ...], rows: Rows) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
