"""Jobs done in the test's own process: what worker processes add is tested once, in the pipeline, and each costs
seconds of imports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import RLock

import pytest

from daguan.cli.app import main
from daguan.core.errors import DivergenceError
from daguan.core.progress import Bar, Progress, say
from daguan.core.tables import Row
from daguan.families.job import Job, result_of
from daguan.pipeline.engines import running
from daguan.pipeline.engines.running import Watch, WorkerError
from daguan.pipeline.engines.table import ENGINES
from daguan.pipeline.engines.worker import JOBS
from daguan.training.engine_settings import EngineSettings

Report = Callable[[Progress], None]
Before = Callable[[Job], None]


class InProcessEngine:
    """An engine that does one job after the other here."""

    lock = RLock()  # a command may do jobs
    report: Report = staticmethod(lambda progress: None)
    before: Before = staticmethod(lambda job: None)

    def check(self, settings: EngineSettings, work: Path) -> None:
        pass

    def at_once(self, jobs: Sequence[Job], workers: int) -> int:
        return 1

    def run(self, job: Job, bar: Bar, watch: Watch) -> bool:
        with self.lock:
            try:
                self.before(job)
                JOBS[job.kind].run(job, self.report)
            except DivergenceError as error:
                raise WorkerError(f"{job.name}: {error}") from None
            return True

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        with self.lock:
            assert main([*words]) == 0

    def stop(self) -> None:
        pass


def _run(jobs: Sequence[Job], workers: int, whole: object = None, *, engine: InProcessEngine) -> None:
    for job in jobs:
        engine.run(job, Bar(job.name), lambda progress: True)
        say(f"{job.name}: {job.summary(result_of(job))}")


@contextmanager
def in_process(
    report: Report = lambda progress: None, before: Before = lambda job: None
) -> Iterator[pytest.MonkeyPatch]:
    """Inside, all jobs are done here, one at a time; `report` sees every update, `before` every job, of which it may
    make a failure by a DivergenceError."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcessEngine, "report", staticmethod(report))
        patch.setattr(InProcessEngine, "before", staticmethod(before))
        patch.setitem(ENGINES, "local", Row(f"{__name__}:InProcessEngine"))
        patch.setattr(running, "_run", partial(_run, engine=InProcessEngine()))
        yield patch
