"""Makes the runs of members: every member through the same folds, by the engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from daguan.core.progress import say
from daguan.core.quantity import quantity
from daguan.core.runs import Run
from daguan.core.types import Score
from daguan.ensemble.pseudo_labels import require_corpus
from daguan.families.fold import MODEL, FoldJob
from daguan.families.job import result_of
from daguan.pipeline.engines.running import require_engine, run_jobs
from daguan.pipeline.engines.whole import Whole
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once, tell_environment
from daguan.pipeline.work.pseudo_label import pseudo_label
from daguan.training.devices import share_cores


def train(settings: Settings, whole: Whole | None = None) -> Stages:
    """Train the members that are not trained yet; returns the stages.

    whole: the line of a run that has further stages.
    """
    require_engine(settings.engine, settings.data.work)
    stages = Stages(settings)
    stages.prepare.manifest()
    for member in settings.trained:
        if pretrain := stages.pretrain(member):
            pretrain.manifest()
        if (asked := stages.settings.member(member).pseudo_labels).teachers:
            require_corpus(stages.contest.corpus, asked)
    # by all jobs, not the unfinished ones: a restarted run must divide the threads as before to give the same bits
    workers, threads = share_cores(settings.engine, len(settings.trained) * settings.folds.count)
    rounds = rounds_of(settings)
    for member in (member for later in rounds[1:] for member in later):
        say(f"train: {member} waits for {', '.join(settings.needs_of(member))}, which it is made from")
    for members in rounds:
        pseudo_labels(stages, members)
        jobs = {member: stages.fold_jobs(member, threads) for member in members}
        for run in map(stages.train, members):
            if not run.finished:
                tell_environment(run, threads)
        run_jobs([job for member in members for job in jobs[member]], workers, whole)
        for member in members:
            finish(stages, member, jobs[member], stages.train(member))
    return stages


def pseudo_labels(stages: Stages, members: Sequence[str]) -> None:
    """Let the teachers of these members, who are trained, label lines for them."""
    runs = {run.key: (run, member) for member in members if (run := stages.pseudo_labels(member))}
    for run, member in runs.values():
        teachers, asked = [teacher.path for teacher in stages.teachers(member)], stages.settings.member(member)
        make = partial(
            pseudo_label, prepared=stages.prepared, teachers=teachers, blend=stages.settings.blend,
            asked=asked.pseudo_labels, engine=stages.settings.engine,
        )  # fmt: skip
        once(run, make, wait=True)


def rounds_of(settings: Settings) -> list[list[str]]:
    """Returns the members in rounds: those of one round can be trained at once, after those of the rounds before."""
    rounds: list[list[str]] = []
    waiting = settings.trained
    while waiting:
        ready = [member for member in waiting if not set(settings.needs_of(member)) & set(waiting)]
        rounds.append(ready)
        waiting = [member for member in waiting if member not in ready]
    return rounds


def finish(stages: Stages, member: str, jobs: list[FoldJob], run: Run) -> None:
    """Pool the folds' scores: counts are added, ratios taken once."""
    results = [result_of(job) for job in jobs]
    pooled = sum((Score(**result["held_out"]) for result in results), Score())
    per_fold = ", ".join(f"{100 * result['f1']:.2f}" for result in results)
    say(f"{member}: out-of-fold span F1 {100 * pooled.f1:.2f} (folds {per_fold})")
    window = stages.settings.member(member).encoder.window
    where = f"in {quantity(sum(result['training_lines'] for result in results), 'training line')}"
    if lost := sum(result.get("lost_entities", 0) for result in results):
        say(f"{member}: left out {quantity(lost, 'entity')} longer than the window of {window}, {where}")
    if cut := sum(result.get("cut_tokens", 0) for result in results):
        say(f"{member}: cut {quantity(cut, 'token')} to the window of {quantity(window, 'piece')}, {where}")
    if not run.finished:
        for job in jobs:
            stages.translation.save(Path(job.folder) / MODEL)
        run.finish(
            sum(result["seconds"] for result in results), folds=results, out_of_fold=pooled.f1, lines=stages.lines
        )
