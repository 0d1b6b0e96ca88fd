"""Runs jobs and commands in local processes that share the cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import IO, Any

import daguan
from daguan.core.errors import UNWRITABLE, DaguanError, StoppedError, WriteError
from daguan.core.files import write_json
from daguan.core.processes import ENVIRONMENT
from daguan.core.progress import Bar, Progress, say
from daguan.families.fold import FoldJob, result_of
from daguan.pipeline.engines.supervision import UNSUPERVISED, Supervisor

LOG = "worker.log"
INTERRUPTED = (-signal.SIGINT, 128 + signal.SIGINT, -signal.SIGTERM)  # exit codes of processes that were asked to end
Watch = Callable[[Progress], bool]


class WorkerError(DaguanError):
    """A worker ended with an error; it carries the worker's message, or the end of its log."""


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
    return _run(waiting, workers, supervisor)


def _run(jobs: Sequence[FoldJob], workers: int, supervisor: Supervisor) -> dict[str, float]:
    processes = Processes()
    positions: SimpleQueue[int] = SimpleQueue()
    seconds: dict[str, float] = {}
    for position in range(workers):
        positions.put(position)

    def run(job: FoldJob) -> None:
        position, begun = positions.get(), time.monotonic()
        try:
            if not supervisor.starts(job, jobs):
                return
            if not processes.run(job, Bar(job.name, position), lambda progress: supervisor.goes_on(job.member)):
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
            processes.stop()
    return seconds


class Processes:
    """Processes that any thread starts and that end together."""

    def __init__(self) -> None:
        self._lock = Lock()  # around starting a process and stopping all
        self._started: list[subprocess.Popen[str]] = []
        self._stopping = False

    def stop(self) -> None:
        """End all, and start no more."""
        with self._lock:
            self._stopping = True
            for process in self._started:
                process.terminate()

    def run(self, job: FoldJob, bar: Bar, watch: Watch = lambda progress: True) -> bool:
        """Do the job. `watch` sees every report and says whether to continue.

        If it says no, the worker is ended and keeps its checkpoint. Returns whether the job was done. Raises
        WorkerError, StoppedError or WriteError.
        """
        folder = Path(job.folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "job.json", job.to_json())
        words = ["daguan.pipeline.engines.worker", str(folder / "job.json")]
        go_on = True
        with (folder / LOG).open("w") as log, self._start(words, log, job.threads, pipe=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                progress = Progress.from_line(line)
                bar.show(progress)
                if go_on and not watch(progress):
                    go_on = False
                    process.terminate()
        bar.close()
        if go_on:
            self._check(job.name, process, folder / LOG, job.finished)
        return go_on

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        """Run `python -m daguan` with these words; its output goes into the log. Raises WorkerError, StoppedError or
        WriteError."""
        with log.open("w") as file, self._start(["daguan", *words], file, threads) as process:
            process.wait()
        self._check(words[0], process, log, process.returncode == 0)

    def _start(self, words: Sequence[str], log: IO[str], threads: int, pipe: bool = False) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopping:
                raise StoppedError("stopped before it was done; the same command continues")
            process = subprocess.Popen(
                [sys.executable, "-m", *words], env=_environment(threads),
                stdout=subprocess.PIPE if pipe else log, stderr=log, text=True,
            )  # fmt: skip
            self._started.append(process)
            return process

    def _check(self, name: str, process: subprocess.Popen[str], log: Path, done: bool) -> None:
        code = process.returncode
        if code and (self._stopping or code in INTERRUPTED):
            raise StoppedError(f"{name}: stopped before it was done; the same command continues")
        if code == UNWRITABLE:
            raise WriteError(f"{name}: {_last_words(log, code)}")
        if code or not done:
            raise WorkerError(f"{name}: {_last_words(log, code)}")


def _summary(result: dict[str, Any]) -> str:
    rate = f" at {result['tokens_per_second']:,} tokens/s" if "tokens_per_second" in result else ""
    scored = f"held-out span F1 {100 * result['f1']:.2f}" if result["held_out_lines"] else "nothing held out"
    return (
        f"{scored}; trained {result['seconds']:.0f} s{rate}, "
        f"test lines labelled at {result['test_tokens_per_second']:,} tokens/s"
    )


def _environment(threads: int) -> dict[str, str]:
    source = str(Path(daguan.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    return ENVIRONMENT | os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}


def _last_words(log: Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    killed = "killed, as happens when memory runs out; " if code == -signal.SIGKILL else ""
    return f"{killed}{lines[-1] if lines else 'nothing said'} (the worker ended with code {code}; all it said: {log})"
