"""tune [CONFIG] [key=value …]: search the space `tune.space` by trials; the best configuration becomes a preset.

The study's folder, work/tune-KEY, holds study.md with all tables, its plots, trials.json, best.yaml, which every
command takes, and a folder a trial. The same command continues a study; given several times at once, on one machine or,
with tune.storage, on several, all work on one study.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata

from daguan.cli import prepare
from daguan.cli.study_report import print_study, write_study
from daguan.core.files import write_text
from daguan.core.progress import say
from daguan.core.runs import Run, folder_lock, run_of
from daguan.core.settings import require, to_dict
from daguan.core.settings_text import settings_text
from daguan.pipeline.budget.plan import load
from daguan.pipeline.settings import SHARED, Settings
from daguan.pipeline.stages import Stages, told
from daguan.pipeline.tuning.optuna_study import importances
from daguan.pipeline.tuning.runner import TrialRunner, varied
from daguan.pipeline.tuning.search import search
from daguan.pipeline.tuning.space import Space, checked_space
from daguan.pipeline.tuning.study import Study
from daguan.pipeline.tuning.trials import best_of

BEST = "best.yaml"
FIXED = tuple(name for name in SHARED if name != "vocabulary")
UNTOLD = ("trials", "workers", "timeout", "storage")  # of `tune`: change no trial
SEARCHED = ("vocabulary", "encoder", "vectors", "pretrain", "augmentation", "model", "train", "ngram_crf")


def main(words: list[str]) -> None:
    settings = load(words)
    space = space_of(settings)
    prepare.make(settings, wait=True)
    run = run_of_study(settings)
    say(f"tune: {settings.tune.trials} trials in {run.path}")
    study = Study.open(run.path, space, settings.tune, settings.seed)
    runner = TrialRunner(settings, study.folder_of)
    search(study, runner, workers_of(settings), runner.stop)
    with folder_lock(study.folder, wait=True):  # of several processes the last one writes what is whole
        report(study, settings)


def space_of(settings: Settings) -> Space:
    """Raises ConfigError: the section `tune` does not fit the rest."""
    tune = settings.tune
    require("tune.member", tune.member in settings.known, " or ".join(settings.known), tune.member)
    made = settings.member(tune.member)
    expected = "a member without pseudo_labels.teachers and no soup, as no trial makes the runs it needs"
    require("tune.member", not made.needs and made.family != "soup", expected, tune.member)
    count = settings.folds.count
    require("tune.folds", tune.folds <= count, f"at most folds.count, {count}", tune.folds)
    fixed = SHARED if tune.member in settings.ensemble else FIXED
    return checked_space(Settings, tune.space, (*fixed, "family", "pseudo_labels"))


def run_of_study(settings: Settings) -> Run:
    """The study's folder, named by all that its trials depend on."""
    tune, stages = settings.tune, Stages(settings)
    base = settings.member(tune.member)
    about = {key: value for key, value in to_dict(tune).items() if key not in UNTOLD}
    before = {"base": stages.train(tune.member).key, **told(base, *SEARCHED), "tune": about}
    before |= {"seed": settings.seed, "optuna": metadata.version("optuna")}
    return run_of(stages.work, "tune", before, "pipeline/tuning", "cli/tune.py")


def workers_of(settings: Settings) -> int:
    """Trials at a time of this process."""
    return min(settings.tune.workers or settings.engine.plan(settings.tune.at_once)[0], settings.tune.at_once)


def report(study: Study, settings: Settings) -> None:
    """Write tables, plots and the best configuration; print the tables."""
    trials = study.trials()
    shares = importances(study.space, trials)
    write_study(study.folder, trials, shares)
    print_study(trials, shares)
    if best := best_of(trials):
        found = replace(varied(settings, best.parameters), name=f"{settings.name}-tuned")
        text = settings_text(found, left_out=("tune",))
        write_text(study.folder / BEST, f"# The best of {len(trials)} trials: {best.index}.\n{text}")
        say(f"tune: the best is trial {best.index}; python -m daguan train {study.folder / BEST}")
