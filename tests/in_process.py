"""Folds trained in the test's own process: what worker processes add is tested once, in the pipeline, and each costs
seconds of imports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from daguan.core.errors import DivergenceError
from daguan.core.progress import Progress
from daguan.families.fold import FoldJob
from daguan.families.jobs import run_job
from daguan.pipeline import distil, train
from daguan.pipeline.budget import trials
from daguan.pipeline.engines.running import WorkerError
from daguan.pipeline.engines.supervision import UNSUPERVISED, Supervisor

Report = Callable[[Progress], None]


def _run(
    jobs: Sequence[FoldJob], workers: int, supervisor: Supervisor = UNSUPERVISED, *, run: Callable[[FoldJob], None]
) -> dict[str, float]:
    seconds = {}
    waiting = [job for job in jobs if not job.finished]
    for job in waiting:
        if not supervisor.starts(job, waiting):
            continue
        begun = time.monotonic()
        try:
            run(job)
        except DivergenceError as error:
            supervisor.failed(WorkerError(f"{job.name}: {error}"), job.member)
        else:
            seconds[job.name] = time.monotonic() - begun
    return seconds


@contextmanager
def in_process(
    report: Report = lambda progress: None, before: Callable[[FoldJob], None] = lambda job: None
) -> Iterator[None]:
    """Inside, `train`, `distil` and the trials of a budget do their jobs here; `report` sees every update, `before`
    every job, of which it may make a failure by a DivergenceError."""

    def run(job: FoldJob) -> None:
        before(job)
        run_job(job, report)

    with pytest.MonkeyPatch.context() as patch:
        for module in (train, distil, trials):
            patch.setattr(module, "run_jobs", partial(_run, run=run))
        yield
