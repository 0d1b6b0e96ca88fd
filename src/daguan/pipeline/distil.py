"""Makes the run of `distil`: a student that the blend teaches, to ship in its place."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from daguan.core.progress import say
from daguan.core.runs import Run, Stopwatch
from daguan.core.settings import require
from daguan.ensemble.distillation import STUDENT, best_on_other_folds
from daguan.ensemble.pseudo_labels import require_corpus
from daguan.families.family import family_of
from daguan.families.fold import MODEL, FoldJob
from daguan.pipeline.engines.running import require_engine, run_jobs
from daguan.pipeline.pretrain import make_runs
from daguan.pipeline.settings import Settings, require_weighed
from daguan.pipeline.shipping.rivals import ngram_crf, warn
from daguan.pipeline.stages import Stages, once
from daguan.pipeline.work.distil import LABELS, PARTNER, SCORED, SHIPPED, Lesson, distil, label
from daguan.training.devices import prepare_process, share_cores

TAGGER = "tagger"
NEEDED = "the name of a tagger, as no member is one that can be taught alone"


def make(settings: Settings) -> Run:
    """Train and measure the student of a finished blend; returns its run."""
    if settings.distil.student:
        _check(settings)
    require_engine(settings.engine, settings.data.work)
    Stages(settings).answered()
    settings = with_student(settings)
    _check(settings)
    stages = Stages(settings)
    require_corpus(stages.contest.corpus, settings.distil.choice(), "distil")
    once(stages.distil, partial(_distil, stages=stages))
    warn("distil", stages.distil.path)
    return stages.distil


def candidates(settings: Settings) -> list[str]:
    """Returns the members of which one becomes the student: the one that is named, else all taggers that need no other
    member. Raises ConfigError: there is none, or the one that is named cannot be taught."""
    if settings.distil.student:
        _check(settings)
        return [settings.distil.student]
    taggers = [name for name in settings.members if settings.member(name).family == TAGGER]
    alone = [name for name in taggers if not settings.needs_of(name)]
    require("distil.student", bool(alone), NEEDED, "none")
    return alone


def with_student(settings: Settings) -> Settings:
    """Returns the settings with a student: the best tagger of the finished blend, unless one is named. Raises
    ConfigError: none of its members is a tagger."""
    if settings.distil.student:
        return settings
    stages = Stages(settings)
    blended = {run.path.name for run in stages.members}
    runs = {name: stages.train(name) for name in candidates(settings)}
    folds = {name: run.manifest()["folds"] for name, run in runs.items() if run.path.name in blended}
    require("distil.student", bool(folds), NEEDED, "none")
    return settings.replace(distil=settings.distil.replace(student=best_on_other_folds(folds)))


def _check(settings: Settings) -> None:
    """Raises ConfigError: there is no such student, it is not trained alone, or it cannot weigh lines."""
    student = settings.distil.student
    require("distil.student", student in settings.known, " or ".join(settings.known), student)
    family = family_of(settings.member(student).family)
    alone = family.trains_alone and not settings.needs_of(student)
    require("distil.student", alone, "a member that needs no other's run", student)
    require_weighed("distil", settings.member(student).family, settings.distil.choice())


def _distil(run: Run, stages: Stages) -> None:
    """Label lines, train both students' models and the n-gram CRF, fit the judges, and measure them. A killed run
    continues where it was."""
    watch, lesson, student = Stopwatch(), lesson_of(stages), stages.settings.distil.student
    make_runs(stages, [student])
    prepare_process(share_cores(lesson.engine, 1)[1], lesson.engine)
    say("distil: the students wait for the lines that the blend labels")
    label(run.path / LABELS, lesson)
    workers, threads = share_cores(lesson.engine, 2)
    run_jobs(student_jobs(run.path, stages, threads), workers)
    for model in (*(run.path / part / MODEL for part in (SCORED, SHIPPED, PARTNER)), run.path / MODEL):
        if model.is_dir():
            stages.translation.save(model)
    distil(run, lesson, watch)


def lesson_of(stages: Stages) -> Lesson:
    """Returns what the students are taught."""
    runs, settings = [member.path for member in stages.members], stages.settings
    rivals = [path for path in map(stages.work.joinpath, ngram_crf(stages.work, stages.lines)) if path not in runs]
    asked, judged = settings.distil.choice(), [run.path for run in stages.judged]
    return Lesson(stages.prepared, runs, rivals, stages.answer.path, judged, settings.blend, asked, settings.engine)


def student_jobs(folder: Path, stages: Stages, threads: int) -> list[FoldJob]:
    """Returns the jobs of the scored student, on fold 0, and of the shipped one, on the fold after the last, which
    holds nothing out, with that of the n-gram CRF that is shipped with it."""
    member = stages.settings.distil.student
    config = stages.settings.member(member)
    student = config.replace(pseudo_labels=stages.settings.distil.choice())
    job = stages.fold_jobs(member, threads)[0]
    job = replace(job, member=STUDENT, settings=student, pseudo_labels=str(folder / LABELS))
    partners = [stages.fold_jobs(stages.partner, threads)[0]] if stages.partner else []
    return [
        replace(job, fold=0, folder=str(folder / SCORED)),
        replace(job, fold=job.folds, folder=str(folder / SHIPPED)),
        *(replace(one, fold=one.folds, folder=str(folder / PARTNER)) for one in partners),
    ]
