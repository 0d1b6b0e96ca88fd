"""tune [CONFIG] [key=value …]: search the space `tune.space` by trials; the best configuration becomes a preset.

The study's folder, work/tune-KEY, holds study.md with all tables, its plots, trials.json, best.yaml, which every
command takes, and a folder a trial. The same command continues a study; given several times at once, on one machine or,
with tune.storage, on several, all work on one study.
"""

from __future__ import annotations

from daguan.cli.study_report import print_study, write_study
from daguan.core.progress import say
from daguan.core.runs import folder_lock
from daguan.pipeline import tune
from daguan.pipeline.budget.plan import load
from daguan.pipeline.tuning.optuna_study import importances


def main(words: list[str]) -> None:
    settings = load(words)
    study = tune.make(settings)
    with folder_lock(study.folder, wait=True):  # of several processes the last one writes what is whole
        trials = study.trials()
        shares = importances(study.space, trials)
        write_study(study.folder, trials, shares)
        print_study(trials, shares)
        if best := tune.write_best(study, settings):
            say(f"tune: the best is trial {best.index}; python -m daguan train {study.folder / tune.BEST}")
