"""Runs jobs by the engine that `engine.kind` names, under a supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from daguan.core.errors import DaguanError
from daguan.core.progress import Bar, Progress, say
from daguan.families.fold import FoldJob, result_of
from daguan.pipeline.engines.supervision import UNSUPERVISED, Supervisor
from daguan.pipeline.engines.table import ENGINES
from daguan.training.engine_settings import EngineSettings

Watch = Callable[[Progress], bool]


class WorkerError(DaguanError):
    """A worker ended with an error; it carries the worker's message, or the end of its log."""


class Engine(Protocol):
    """Does jobs and commands for any thread; all of them end together.

    Its `run` and `run_command` raise WorkerError; StoppedError if somebody ended the work; WriteError for a full disk.
    """

    def run(self, job: FoldJob, bar: Bar, watch: Watch) -> bool:
        """Do the job. `watch` sees every report and says whether to continue.

        If it says no, the job is ended and keeps its checkpoint. Returns whether the job was done.
        """

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        """Run `python -m daguan` with these words; its output goes into the log."""

    def stop(self) -> None:
        """End all, and start no more."""


def engine_of(settings: EngineSettings) -> Engine:
    """Returns a new engine of the kind that the settings name."""
    engine: Engine = ENGINES[settings.kind].load()()
    return engine


def run_jobs(jobs: Sequence[FoldJob], workers: int, supervisor: Supervisor = UNSUPERVISED) -> dict[str, float]:
    """Do the unfinished jobs, `workers` at a time, in order; finished ones are named and skipped.

    Returns the seconds of wall clock of each job that was done, by its name.

    Raises:
        WorkerError: a job failed, and the supervisor does not continue without it. The other running jobs are ended;
        all keep their checkpoints.
        StoppedError or WriteError: the same, not caused by the job.
    """
    waiting = [job for job in jobs if not job.finished]
    for job in jobs:
        if job.finished:
            say(f"{job.name}: done before, skipped")
    return _run(waiting, workers, supervisor) if waiting else {}


def _run(jobs: Sequence[FoldJob], workers: int, supervisor: Supervisor) -> dict[str, float]:
    engine = engine_of(jobs[0].engine)
    positions: SimpleQueue[int] = SimpleQueue()
    seconds: dict[str, float] = {}
    for position in range(workers):
        positions.put(position)

    def run(job: FoldJob) -> None:
        position, begun = positions.get(), time.monotonic()
        try:
            if not supervisor.starts(job, jobs):
                return
            if not engine.run(job, Bar(job.name, position), lambda progress: supervisor.goes_on(job.member)):
                return
        except WorkerError as error:
            supervisor.failed(error, job.member)
            return
        finally:  # otherwise waiting jobs would wait for ever
            positions.put(position)
        seconds[job.name] = time.monotonic() - begun
        say(f"{job.name}: {_summary(result_of(job))}")

    with ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(run, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
        finally:  # after an error or an interrupt; otherwise there is nothing to stop
            engine.stop()
    return seconds


def _summary(result: dict[str, Any]) -> str:
    rate = f" at {result['tokens_per_second']:,} tokens/s" if "tokens_per_second" in result else ""
    scored = f"held-out span F1 {100 * result['f1']:.2f}" if result["held_out_lines"] else "nothing held out"
    return (
        f"{scored}; trained {result['seconds']:.0f} s{rate}, "
        f"test lines labelled at {result['test_tokens_per_second']:,} tokens/s"
    )
