"""Runs jobs as tasks of a Ray cluster, whose nodes share the folder of the command under one path.

A task carries the text of a job file and paths, and declares the job's threads, memory and GPU. When its node is lost,
Ray starts it again elsewhere, and the job continues from its checkpoint.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock

from daguan.core.errors import ConfigError, DaguanError, StoppedError, WriteError
from daguan.core.progress import Bar, say
from daguan.core.quantity import quantity
from daguan.families.job import RESULT, Job
from daguan.pipeline.engines.local import LocalEngine
from daguan.pipeline.engines.ray_task import PROGRESS, check_node, do, progress_in, versions
from daguan.pipeline.engines.running import Watch, Work, WorkerError
from daguan.training.engine_settings import EngineSettings

RETRIES = 10  # of a job whose node is lost, or whose process somebody ends
ANSWER_SECONDS = 10.0  # for a cluster to accept a connection
CHECK_SECONDS = 300.0  # for all nodes to start a process and answer
POLL_SECONDS = 0.5  # between two looks at a job
SEEN_SECONDS = 60.0  # until a file that another node wrote is seen here; NFS looks again after at most that
GB = 2**30
ERRORS: dict[int, type[DaguanError]] = {one.exit_code: one for one in (WorkerError, WriteError, StoppedError)}
CONNECTING = Lock()


class RayEngine:
    """Tasks that any thread starts and that end together; its methods are those of `Engine` (running.py).

    Commands run on this machine, as they give their own jobs to the cluster.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # around starting a task and stopping all
        self._started: list[Any] = []
        self._stopping = False
        self._commands = LocalEngine()

    def check(self, settings: EngineSettings, work: Path) -> None:
        _check(settings.address, str(work))

    def at_once(self, jobs: Sequence[Job], workers: int) -> int:
        return jobs[0].engine.workers or len(jobs)  # the cluster starts what fits

    def run(self, job: Job, bar: Bar, watch: Watch) -> bool:
        return self.do(Work.of(job), job.engine, bar, watch)

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        self._commands.run_command(words, log, threads)

    def stop(self) -> None:
        self._commands.stop()
        with self._lock:
            tasks, self._stopping = [] if self._stopping else self._started, True
            for task in tasks:  # once: a second cancel would interrupt a task that waits for its job's checkpoint
                _ray().cancel(task)

    def do(self, work: Work, settings: EngineSettings, bar: Bar, watch: Watch) -> bool:
        """Do what `run` does, for a job as text."""
        folder, seen, go_on = Path(work.folder), None, True
        (folder / PROGRESS).unlink(missing_ok=True)
        task = self._start(work, settings)
        while not _ray().wait([task], timeout=POLL_SECONDS)[0]:
            if bar.begun is None and (folder / PROGRESS).is_file():
                bar.begin()
            progress = progress_in(folder)
            if progress is None or progress == seen:
                continue
            seen = progress
            bar.show(progress)
            if go_on and not watch(progress):
                go_on = False
                _ray().cancel(task)
        if go_on:
            self._end(work, task)
        return go_on

    def _start(self, work: Work, settings: EngineSettings) -> Any:
        ray, needs = connected(settings.address), needs_of(work, settings)
        if not any(_fits(needs, node["Resources"]) for node in ray.nodes() if node["Alive"]):
            cpus, gpus = quantity(round(needs["CPU"]), "CPU"), quantity(round(needs["GPU"]), "GPU")
            asked = f"{cpus}, {gpus} and {needs['memory'] / GB:g} GB"
            say(f"{work.name}: waits, as no node of the Ray cluster has {asked}")
        task = ray.remote(do).options(
            name=work.name, num_cpus=needs["CPU"], num_gpus=needs["GPU"], memory=needs["memory"],
            max_retries=RETRIES, retry_exceptions=[InterruptedError],
        )  # fmt: skip
        with self._lock:
            if self._stopping:
                raise StoppedError("stopped before it was done; the same command continues")
            self._started.append(task.remote(versions(), os.getcwd(), tuple(work), needs["GPU"]))
            return self._started[-1]

    def _end(self, work: Work, task: Any) -> None:
        """Raise what the task says, if it failed; otherwise wait until its result is seen here."""
        errors = _ray().exceptions
        try:
            code, message = _ray().get(task)
        except errors.TaskCancelledError:
            raise StoppedError(f"{work.name}: stopped before it was done; the same command continues") from None
        except errors.RayError as error:
            raise WorkerError(f"{work.name}: {_line(error)}") from None
        if code:
            raise ERRORS[code](message)
        since = time.monotonic()
        while not work.finished:
            if time.monotonic() - since > SEEN_SECONDS:
                raise WorkerError(f"{work.name}: expected {RESULT} of a node in {work.folder}, got none; is it shared?")
            time.sleep(POLL_SECONDS)


def needs_of(work: Work, settings: EngineSettings) -> dict[str, float]:
    """Returns what a job declares to the cluster: CPUs, GPUs, and bytes of memory."""
    gpus = work.processes if _on_gpu(settings) else 0
    return {"CPU": work.processes * work.threads, "GPU": gpus, "memory": round(settings.memory * GB)}


def _on_gpu(settings: EngineSettings) -> bool:
    """Returns whether a job needs a GPU: where the command's machine would use one, as runs' keys depend on it."""
    if settings.device == "cpu":
        return False
    from daguan.training.devices import find_device  # with torch, which takes seconds

    return find_device(settings).type != "cpu"


def _fits(needs: dict[str, float], resources: dict[str, float]) -> bool:
    return all(resources.get(name, 0) >= amount for name, amount in needs.items())


def _ray() -> Any:
    import ray

    return ray


def connected(address: str) -> Any:
    """Returns the package ray, connected to the cluster. Raises ConfigError: not installed, or no cluster answers."""
    if find_spec("ray") is None:
        raise ConfigError("engine.kind: expected the package ray, got none; run: pip install 'daguan[ray]'")
    ray = _ray()
    with CONNECTING:
        if not ray.is_initialized():
            require_answer(address)
            try:
                ray.init(address, log_to_driver=False, logging_level="warning")
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise _no_answer(address, _line(error)) from None
    return ray


def require_answer(address: str) -> None:
    """Raises ConfigError: nobody listens there; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()):
        raise ConfigError(f"engine.address: expected auto or HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise _no_answer(address, str(error)) from None


def _no_answer(address: str, problem: str) -> ConfigError:
    advice = "run `ray start --head` here, or `ray start --address=HOST:PORT` to join one"
    return ConfigError(f"engine.address: expected a Ray cluster at {address}, got: {problem.rstrip('.')}; {advice}")


def _line(error: Exception) -> str:
    """Returns one line of an error of Ray: the last one of a traceback, else the first one."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if isinstance(error, _ray().exceptions.RayTaskError) else 0].strip()


@cache
def _check(address: str, work: str) -> None:
    """Raises ConfigError: a node cannot do jobs in this folder; says where locks do not hold."""
    ray, path = connected(address), Path(work, f".{uuid.uuid4().hex}.lock")
    nodes = [node for node in ray.nodes() if node["Alive"]]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path):
            tasks = [ray.remote(check_node).options(num_cpus=0, scheduling_strategy=_on(node)) for node in nodes]
            answers = [task.remote(versions(), os.getcwd(), str(path)) for task in tasks]
            for node, answer in zip(nodes, answers, strict=True):
                _require(f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})", answer, work)
    finally:
        path.unlink(missing_ok=True)
    cores = sum(node["Resources"].get("CPU", 0) for node in nodes)
    say(f"engine.kind: a Ray cluster of {quantity(round(cores), 'CPU')}, nodes: {len(nodes)}")


def _require(node: str, answer: Any, work: str) -> None:
    """Raises ConfigError: the node answers that it cannot do jobs, or does not answer."""
    try:
        problem, locked = _ray().get(answer, timeout=CHECK_SECONDS)
    except _ray().exceptions.RayError as error:
        problem, locked = _line(error), True
    if problem:
        raise ConfigError(f"engine.kind: {node}: {problem}")
    if not locked:
        say(
            f"engine.kind: {node}: locks in {work} do not hold between nodes, so two commands at once, or a lost node "
            "that comes back, may write into the same run; mount it with locks (NFS 4)"
        )


def _on(node: dict[str, Any]) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
