"""Makes the study of a search over settings, and writes its best configuration."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from daguan.core.errors import MissingStageError
from daguan.core.files import read_json, write_text
from daguan.core.progress import say
from daguan.core.quantity import quantity
from daguan.core.runs import Run, run_of
from daguan.core.settings import require, to_dict
from daguan.core.settings_text import settings_text
from daguan.core.tables import Row
from daguan.core.types import Score
from daguan.families.family import family_of
from daguan.families.job import result_of
from daguan.pipeline import prepare
from daguan.pipeline.engines.running import require_engine, run_jobs
from daguan.pipeline.settings import SHARED, Settings
from daguan.pipeline.stages import Stages, read_sections
from daguan.pipeline.tuning.runner import TrialRunner, varied
from daguan.pipeline.tuning.search import search
from daguan.pipeline.tuning.space import Space, checked_space
from daguan.pipeline.tuning.study import Study
from daguan.pipeline.tuning.trials import Trial, best_of
from daguan.training.devices import share_cores

BEST, TRIALS = "best.yaml", "trials.json"
FIXED = tuple(name for name in SHARED if name != "vocabulary")
UNTOLD = ("trials", "workers", "timeout", "storage")  # of `tune`: change no trial
STUDY = Row("daguan.pipeline.tuning.study:Study")
SEARCHED = ("encoder", "vectors", "pretrain", "augmentation", "model", "train", "ngram_crf")


def space_of(settings: Settings) -> Space:
    """Raises ConfigError: the section `tune` does not fit the rest."""
    tune = settings.tune
    require("tune.member", tune.member in settings.known, " or ".join(settings.known), tune.member)
    made = settings.member(tune.member)
    expected = "a member without pseudo_labels.teachers and no soup, as no trial makes the runs it needs"
    require(
        "tune.member", not settings.needs_of(tune.member) and family_of(made.family).trains_alone, expected, tune.member
    )
    count = settings.folds.count
    require("tune.folds", tune.folds < count, f"less than folds.count, {count}", tune.folds)
    fixed = SHARED if tune.member in settings.ensemble else FIXED
    return checked_space(Settings, tune.space, (*fixed, "family", "pseudo_labels"))


def run_of_study(settings: Settings) -> Run:
    """The study's folder, named by all that its trials depend on."""
    tune, stages = settings.tune, Stages(settings)
    base = settings.member(tune.member)
    about = {key: value for key, value in to_dict(tune).items() if key not in UNTOLD}
    before: dict[str, Any] = {"base": stages.train(tune.member).key, **read_sections(base, SEARCHED), "tune": about}
    before |= {"seed": settings.seed, "optuna": metadata.version("optuna")}
    return run_of(stages.work, "tune", before, [STUDY])


def workers_of(settings: Settings) -> int:
    """Trials at a time of this process."""
    return min(settings.tune.workers or share_cores(settings.engine, settings.tune.at_once)[0], settings.tune.at_once)


def make(settings: Settings) -> Study:
    """Begin trials until there are none left; returns the study."""
    space = space_of(settings)
    require_engine(settings.engine, settings.data.work)
    prepare.make(settings, wait=True)
    run = run_of_study(settings)
    say(f"tune: {quantity(settings.tune.trials, 'trial')} in {run.path}")
    study = Study.open(run.path, space, settings.tune, settings.seed)
    runner = TrialRunner(settings, study.folder_of)
    search(study, runner, workers_of(settings), runner.stop)
    return study


def finished(settings: Settings) -> tuple[Study, float | None]:
    """Returns the study as `tune` left it, and the F1 of its best trial on the folds that no trial was scored on, if
    that was measured. Raises MissingStageError: it was not begun."""
    run = run_of_study(settings)
    if not run.path.is_dir():
        raise MissingStageError(f"{run.path}: expected a study, got none", run.stage)
    record = run.path / TRIALS
    score = read_json(record)["f1_on_other_folds"] if record.is_file() else None
    return Study.open(run.path, space_of(settings), settings.tune, settings.seed), score


def score_best(study: Study, settings: Settings) -> Score | None:
    """Returns the best trial's span counts on the folds that no trial was scored on, which are trained for it; None if
    no trial is complete, or some are not finished."""
    trials, tune = study.trials(), settings.tune
    best = best_of(trials)
    if best is None or not (study.begun and all(trial.finished for trial in trials)):
        return None
    workers, threads = share_cores(settings.engine, len(settings.trained) * settings.folds.count)
    alone = varied(settings, best.parameters).replace(members=(tune.member,))
    jobs = Stages(alone).fold_jobs(tune.member, threads)[tune.folds :]
    run_jobs(jobs, workers)
    return sum((Score(**result_of(job)["held_out"]) for job in jobs), Score())


def write_best(study: Study, settings: Settings) -> Trial | None:
    """Write the best trial's configuration as a preset; returns that trial, if any is complete."""
    trials = study.trials()
    if best := best_of(trials):
        found = varied(settings, best.parameters).replace(name=f"{settings.name}-tuned")
        text = settings_text(found, left_out=("tune",))
        write_text(study.folder / BEST, f"# The best of {quantity(len(trials), 'trial')}: {best.index}.\n{text}")
    return best
