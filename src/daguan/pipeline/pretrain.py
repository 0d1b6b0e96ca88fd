"""Makes the runs of `pretrain`: what members start from, once each though several members share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daguan.core.progress import say
from daguan.core.runs import Run
from daguan.families.job import Job, result_of
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline.engines.running import require_engine, run_jobs
from daguan.pipeline.engines.whole import Whole
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, decided, tell_environment
from daguan.pipeline.work.pretrain import PretrainJob
from daguan.training.devices import share_cores


def make(settings: Settings, whole: Whole | None = None) -> list[Run]:
    """Make the runs of all members, unless they are made; returns them.

    whole: the line of a run that has further stages.
    """
    require_engine(settings.engine, settings.data.work)
    stages = Stages(settings)
    stages.prepare.manifest()
    found = make_runs(stages, settings.trained, whole)
    if not found:
        say("pretrain: no member starts from a pretrained encoder or from token vectors, nothing to do")
    return found


def make_runs(stages: Stages, members: Sequence[str], whole: Whole | None = None) -> list[Run]:
    """Make the runs that these members start from, unless they are made; returns them."""
    starts = starts_of(stages, members)
    jobs, workers, threads = jobs_of(stages, starts)
    for run in starts.values():
        if run.finished:
            say(f"pretrain: done before ({run.path.name}), skipped")
        else:
            tell_environment(run, threads)
    run_jobs([jobs[name] for name, run in starts.items() if not run.finished], workers, whole)
    for name, run in starts.items():
        finish(run, jobs[name])
    return list(starts.values())


def starts_of(stages: Stages, members: Sequence[str]) -> dict[str, Run]:
    """Returns the runs that these members start from, once each, by the first member that does."""
    found: dict[str, tuple[str, Run]] = {}
    for member in members:
        if run := stages.pretrain(member):
            found.setdefault(run.key, (member, run))
    return dict(found.values())


def jobs_of(stages: Stages, starts: Mapping[str, Run]) -> tuple[dict[str, PretrainJob], int, int]:
    """Returns the jobs that make these runs, how many of them fit here at a time, and the threads of each."""
    workers, threads = share_cores(stages.settings.engine, max(1, len(starts)))
    return {name: pretrain_job(stages, name, threads) for name in starts}, workers, threads


def pretrain_job(stages: Stages, member: str, threads: int) -> PretrainJob:
    """Returns the job that makes what a member starts from."""
    run, settings = stages.pretrain(member), stages.member(member)
    learns = ENCODERS[settings.model.encoder].pretrained and settings.pretrain.tokens > 0
    return PretrainJob(
        member=member,
        contest=str(stages.contest.folder),
        settings=settings,
        engine=decided(stages.settings.engine),
        folder=str(run.path if run else ""),
        prepared=str(stages.prepare.path),
        threads=threads,
        processes=stages.settings.engine.devices if learns else 1,
    )


def finish(run: Run, job: Job) -> None:
    """Write the manifest of a run whose job is finished, unless it is there."""
    if not run.finished:
        run.finish(**result_of(job))
