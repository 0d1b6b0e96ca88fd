"""Runs jobs and commands in local processes that share the cores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import IO

import daguan
from daguan.core.errors import UNWRITABLE, StoppedError, WriteError
from daguan.core.events import Events
from daguan.core.files import naming, write_json
from daguan.core.processes import ENVIRONMENT, ranks_environment
from daguan.core.progress import Bar, Progress
from daguan.families.job import JOB, Job
from daguan.pipeline.engines.running import Watch, Work, WorkerError
from daguan.training.engine_settings import EngineSettings

LOG = "worker.log"
GRACE_SECONDS = 20.0  # for a rank to end by itself, once the others have ended
LOOK_SECONDS = 0.5  # between two looks at work that a signal may end
INTERRUPTED = (-signal.SIGINT, StoppedError.exit_code, -signal.SIGTERM)  # exit codes of processes asked to end


class LocalEngine:
    """Processes that any thread starts and that end together; its methods are those of `Engine` (running.py)."""

    def __init__(self) -> None:
        self._lock = Lock()  # around starting a process and stopping all
        self._started: list[subprocess.Popen[str]] = []
        self._stopping = False
        self._jobs_on: Counter[str] = Counter()  # jobs that use each GPU now

    @property
    def stopping(self) -> bool:
        return self._stopping

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            for process in self._started:
                process.terminate()

    def check(self, settings: EngineSettings, work: Path) -> None:
        pass

    def at_once(self, jobs: Sequence[Job], workers: int) -> int:
        return workers

    def run(self, job: Job, bar: Bar, watch: Watch) -> bool:
        with self._gpus_of(job) as visible:
            return self.do(Work.of(job), bar, watch, visible)

    def do(self, work: Work, bar: Bar, watch: Watch, visible: Mapping[str, str] = MappingProxyType({})) -> bool:
        """Do what `run` does, for a job as text, with these variables in the environment of its processes."""
        folder = Path(work.folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / JOB, json.loads(work.text))
        go_on = True
        with (
            (folder / LOG).open("wb", buffering=0) as log,  # the worker writes into it too
            Events(folder, work.name) as events,
            self._start_ranks(work, log, visible) as process,
        ):
            assert process.stdout is not None
            bar.begin()
            for line in process.stdout:
                if (progress := Progress.from_line(line)) is None:  # printed before the worker could prevent it
                    with naming(folder / LOG):
                        log.write(line.encode("utf-8"))
                    continue
                bar.show(progress)
                events.show(progress)
                if go_on and not watch(progress):
                    go_on = False
                    process.terminate()
        if go_on:
            self._check(work.name, process, folder / LOG, work.finished)
        return go_on

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        with log.open("wb") as file, self._start(["daguan", *words], file, threads) as process:
            process.wait()
        self._check(words[0], process, log, process.returncode == 0)

    @contextmanager
    def _start_ranks(self, work: Work, log: IO[bytes], visible: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
        """Yields the process of the first rank, which reports on its standard output; they end together."""
        words = [work.worker, str(Path(work.folder) / JOB)]
        groups = [{**visible, **group} for group in ranks_environment(work.processes)]
        first = self._start(words, log, work.threads, groups[0], pipe=True)
        others = [self._start(words, log, work.threads, group) for group in groups[1:]]
        with first, ThreadPoolExecutor(max(1, len(others))) as watchers:
            for other in others:
                watchers.submit(_end_with, other, first)
            yield first
            first.wait()
            for other in others:
                _end(other)

    @contextmanager
    def _gpus_of(self, job: Job) -> Iterator[dict[str, str]]:
        """Yields the variable that gives a job the GPUs which the fewest other jobs use; none on a CPU."""
        from daguan.training.devices import gpus  # with torch, which `do` can do without

        with self._lock:
            chosen = sorted(gpus(job.engine), key=lambda gpu: self._jobs_on[gpu])[: job.processes]
            self._jobs_on.update(chosen)
        try:
            yield {"CUDA_VISIBLE_DEVICES": ",".join(chosen)} if chosen else {}
        finally:
            with self._lock:
                self._jobs_on.subtract(chosen)

    def _start(
        self, words: Sequence[str], log: IO[bytes], threads: int, group: dict[str, str] | None = None,
        pipe: bool = False,
    ) -> subprocess.Popen[str]:  # fmt: skip
        with self._lock:
            if self._stopping:
                raise StoppedError("stopped before it was done; the same command continues")
            process = subprocess.Popen(
                [sys.executable, "-m", *words], env=_environment(threads) | (group or {}),
                stdout=subprocess.PIPE if pipe else log, stderr=log, encoding="utf-8", errors="replace",
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


def do_until(number: signal.Signals, engine: LocalEngine, do: Callable[[], object]) -> None:
    """Do it in another thread. The signal, or Ctrl-C, ends the engine's processes, each with a checkpoint; a second
    signal does not end the wait for these. Raises what `do` raises."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        with ThreadPoolExecutor(1) as executor:
            doing = executor.submit(do)
            try:
                while not wait([doing], LOOK_SECONDS).done:
                    pass
            except KeyboardInterrupt:
                signal.signal(number, signal.SIG_IGN)
                engine.stop()
        doing.result()
    finally:
        signal.signal(number, before)


def _end_with(other: subprocess.Popen[str], first: subprocess.Popen[str]) -> None:
    """Waits for another rank; if it fails, the first one must end too, which waits for its answers."""
    if other.wait():
        _end(first)


def _end(process: subprocess.Popen[str]) -> None:
    """Kills a rank that does not end by itself."""
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _environment(threads: int) -> dict[str, str]:
    source = str(Path(daguan.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    return ENVIRONMENT | os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}


def _last_words(log: Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    killed = "killed, as happens when memory runs out; " if code == -signal.SIGKILL else ""
    return f"{killed}{lines[-1] if lines else 'nothing said'} (the worker ended with code {code}; all it said: {log})"
