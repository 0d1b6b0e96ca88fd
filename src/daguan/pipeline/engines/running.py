"""Runs jobs by the engine that `engine.kind` names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from daguan.core.errors import DaguanError
from daguan.core.progress import Bar, Progress, say, shown
from daguan.core.settings import require
from daguan.families.job import RESULT, Job, result_of
from daguan.pipeline.engines.curves import drawn
from daguan.pipeline.engines.table import ENGINES
from daguan.pipeline.engines.whole import Whole
from daguan.training.engine_settings import EngineSettings

Watch = Callable[[Progress], bool]
WORKER = "daguan.pipeline.engines.worker"


class WorkerError(DaguanError):
    """A worker ended with an error; it carries the worker's message, or the end of its log."""


class Work(NamedTuple):
    """A job as plain text, which is all that another process or machine gets of it.

    Attributes:
        name: what the user reads.
        folder: where the job works.
        threads: of each of its processes.
        text: of the job file.
        processes: how many do it together.
        worker: the module that does the job, given the job file.
    """

    name: str
    folder: str
    threads: int
    text: str
    processes: int = 1
    worker: str = WORKER

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(job.name, job.folder, job.threads, json.dumps(job.to_json()), job.processes)

    @property
    def finished(self) -> bool:
        return (Path(self.folder) / RESULT).is_file()


class Engine(Protocol):
    """Does jobs and commands for any thread; all of them end together.

    Its `run` and `run_command` raise WorkerError; StoppedError if somebody ended the work; WriteError for a full disk.
    """

    def check(self, settings: EngineSettings, work: Path) -> None:
        """Raise ConfigError: there is no such engine here, or it cannot do jobs in this folder of runs."""

    def at_once(self, jobs: Sequence[Job], workers: int) -> int:
        """Return the number of jobs to give to it at a time, where `workers` fit on this machine."""

    def run(self, job: Job, bar: Bar, watch: Watch) -> bool:
        """Do the job. `bar.begin()` says when it no longer waits. `watch` sees every report and says whether to
        continue.

        If it says no, the job is ended and keeps its checkpoint. Returns whether the job was done.
        """

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        """Run `python -m daguan` with these words; its output goes into the log."""

    def stop(self) -> None:
        """End all, and start no more."""


def engine_of(settings: EngineSettings) -> Engine:
    """Returns a new engine of the kind that the settings name. Raises ConfigError: a launcher started this process as
    one of several."""
    launched = os.environ.get("WORLD_SIZE", "1")
    expected = "a process alone; engine.devices starts several, and torchrun those of one job: python -m "
    require("WORLD_SIZE", launched == "1", f"{expected}daguan.pipeline.engines.worker JOB.json", launched)
    engine: Engine = ENGINES[settings.kind].load()()
    return engine


def require_engine(settings: EngineSettings, work: str) -> None:
    """Raises ConfigError before any work is done: the engine cannot do jobs in this folder of runs."""
    engine_of(settings).check(settings, Path(work))


def do_job(engine: Engine, job: Job, bar: Bar, watch: Watch) -> bool:
    """Do what the engine's `run` does, and draw the job's curves if `engine.tensorboard` says so."""
    with drawn(job, watch) as watched:
        return engine.run(job, bar, watched)


def run_jobs(jobs: Sequence[Job], workers: int, whole: Whole | None = None) -> None:
    """Do the unfinished jobs, `workers` at a time, in order; finished ones are named and skipped.

    whole: of more than these jobs, whose line somebody else shows.

    Raises:
        WorkerError: a job failed. The other running jobs are ended; all keep their checkpoints.
        StoppedError or WriteError: the same, not caused by the job.
    """
    for job in jobs:
        if job.finished:
            say(f"{job.name}: done before, skipped")
    if waiting := [job for job in jobs if not job.finished]:
        _run(waiting, workers, whole)


def _run(jobs: Sequence[Job], workers: int, asked: Whole | None) -> None:
    engine = engine_of(jobs[0].engine)
    workers = engine.at_once(jobs, workers)
    whole = asked or Whole("all jobs", {job.folder: job.kind_of_work for job in jobs})

    def run(job: Job) -> None:
        with Bar(job.name) as bar:
            whole.give(job.folder, bar)
            do_job(engine, job, bar, lambda progress: True)
        whole.end(job.folder)
        say(f"{job.name}: {job.summary(result_of(job))}")

    rows = [whole.row] if asked is None and len(jobs) > 1 else []
    with shown(*rows), ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(run, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
        finally:  # after an error or an interrupt; otherwise there is nothing to stop
            engine.stop()
