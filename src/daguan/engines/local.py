"""Jobs in local worker processes, the cores divided among them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import daguan
from daguan.core.errors import DaguanError
from daguan.core.files import write_json
from daguan.core.processes import ENVIRONMENT
from daguan.core.progress import Bar, Progress, say
from daguan.training.jobs import RESULT, FoldJob, result_of

LOG = "worker.log"


class WorkerError(DaguanError):
    """A worker ended with an error; its message, or the end of its log, is passed on."""


def run_jobs(jobs: Sequence[FoldJob], workers: int) -> None:
    """Do the unfinished jobs, `workers` at a time, in order; finished ones are named and skipped.

    Raises:
        WorkerError: a job failed. The others still running are ended; all keep their checkpoints.
    """
    waiting = [job for job in jobs if not job.finished]
    for job in jobs:
        if job.finished:
            say(f"{job.name}: done before, skipped")
    pool = _Pool(workers)
    pool.run(waiting)


class _Pool:
    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.positions: SimpleQueue[int] = SimpleQueue()
        for position in range(workers):
            self.positions.put(position)
        self.lock = Lock()  # around starting a process and stopping all
        self.stopping = False
        self.processes: list[subprocess.Popen[str]] = []

    def run(self, jobs: Sequence[FoldJob]) -> None:
        with ThreadPoolExecutor(self.workers) as executor:
            futures = [executor.submit(self._run_one, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    future.result()
            finally:  # after an error or an interrupt; when all went well there is nothing to stop
                self._stop()

    def _stop(self) -> None:
        with self.lock:
            self.stopping = True
            for process in self.processes:
                process.terminate()

    def _run_one(self, job: FoldJob) -> None:
        folder = Path(job.folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "job.json", job.to_json())
        position = self.positions.get()
        bar = Bar(job.name, position)
        with (folder / LOG).open("w") as log:
            with self.lock:
                if self.stopping:
                    return
                process = subprocess.Popen(
                    [sys.executable, "-m", "daguan.engines.worker", str(folder / "job.json")],
                    env=_environment(job.threads), stdout=subprocess.PIPE, stderr=log, text=True,
                )  # fmt: skip
                self.processes.append(process)
            with process:  # closes the pipe and waits
                assert process.stdout is not None
                for line in process.stdout:
                    bar.show(Progress.from_line(line))
            code = process.returncode
        bar.close()
        self.positions.put(position)
        if code != 0 or not (folder / RESULT).is_file():
            raise WorkerError(f"{job.name}: {_last_words(folder / LOG, code)}")
        say(f"{job.name}: {_summary(result_of(job))}")


def _summary(result: dict[str, Any]) -> str:
    rate = f" at {result['tokens_per_second']:,} tokens/s" if "tokens_per_second" in result else ""
    return (
        f"held-out span F1 {100 * result['f1']:.2f}; trained {result['seconds']:.0f} s{rate}, "
        f"test lines labelled at {result['test_tokens_per_second']:,} tokens/s"
    )


def _environment(threads: int) -> dict[str, str]:
    source = str(Path(daguan.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    return ENVIRONMENT | os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}


def _last_words(log: Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'nothing said'} (the worker ended with code {code}; all it said: {log})"
