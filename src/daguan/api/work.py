"""The trained runs of a work folder, and searches for better settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daguan.api.fitting import words_of
from daguan.pipeline.settings import DataSettings

if TYPE_CHECKING:
    from pandas import DataFrame


def runs(work: str | Path | None = None) -> DataFrame:
    """Returns a table of the trained runs in a work folder, best first among those that may be blended together.

    Runs with equal `lines` may be blended. Without a folder it is data/work. Raises DaguanError: a manifest is damaged.
    """
    from daguan.api import frames
    from daguan.pipeline.ledger import read_ledger

    return frames.runs(read_ledger(Path(work or DataSettings().work)))


@dataclass(frozen=True)
class Study:
    """A finished search.

    Attributes:
        path: its folder.
        trials: a row for each trial: number, state, F1, seconds, the reason where it failed, and its settings.
        best: the settings of the best trial; empty if none is complete.
        config: a file with the best configuration, for `fit` and every command; None if no trial is complete.
        f1_on_other_folds: F1 of the best trial on the folds that no trial was scored on; trust this one.
    """

    path: Path
    trials: DataFrame
    best: dict[str, Any]
    config: Path | None
    f1_on_other_folds: float | None


def tune(config: str | Path = "tune", settings: Mapping[str, Any] | None = None) -> Study:
    """Searches the space `tune.space` of a configuration, and returns the study; the same call continues it.

    The command `tune` also writes study.md and plots. Raises DaguanError: the settings do not fit.
    """
    from daguan.api import frames
    from daguan.core.runs import folder_lock
    from daguan.pipeline import tune as search
    from daguan.pipeline.budget.plan import load

    configuration = load(words_of(config, settings or {}))
    study = search.make(configuration)
    score = search.score_best(study, configuration)
    with folder_lock(study.folder, wait=True):
        best = search.write_best(study, configuration)
    return Study(
        study.folder,
        frames.trials(study.trials()),
        dict(best.parameters) if best else {},
        study.folder / search.BEST if best else None,
        score.f1 if score else None,
    )
