"""Folds trained in the test's own process: what worker processes add is tested once, in the pipeline, and each costs
seconds of imports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from daguan.budget import trials
from daguan.commands import distil, train
from daguan.core.progress import Progress
from daguan.training.jobs import FoldJob, run_job


def _run(jobs: Sequence[FoldJob], workers: int, report: Callable[[Progress], None]) -> None:
    for job in jobs:
        run_job(job, report)


@contextmanager
def in_process(report: Callable[[Progress], None] = lambda progress: None) -> Iterator[None]:
    """Inside, `train`, `distil` and the trials of a budget do their jobs here; `report` sees every update."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (train, distil, trials):
            patch.setattr(module, "run_jobs", partial(_run, report=report))
        yield
