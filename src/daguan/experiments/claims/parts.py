"""Trains the parts of a claim: each side with each seed is a run of its own, in one thread on a CPU.

Several processes train parts side by side there, one on each core, which is faster than threads that share a small
model's update. So no figure depends on the number of cores.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from heapq import heapify, heapreplace
from pathlib import Path
from typing import NamedTuple

from daguan.core import settings
from daguan.core.runs import Run, Stopwatch, run_of
from daguan.core.tables import Row
from daguan.experiments.claims.claim import COMMON, Claim, ClaimSettings, Part
from daguan.experiments.claims.table import CLAIMS
from daguan.pipeline.engines.running import WorkerError
from daguan.pipeline.stages import once
from daguan.training.devices import cores, find_device, prepare_process


class Wanted(NamedTuple):
    """A side of a claim with a seed."""

    name: str
    side: str
    seed: int
    chosen: ClaimSettings


def claim_of(name: str) -> Claim:
    """Returns the claim, a row of the table."""
    claim: Claim = CLAIMS[name].load()
    return claim


def processes_of(chosen: ClaimSettings) -> int:
    """Returns how many parts are trained at a time: one on each core, and one alone on a GPU."""
    return (chosen.threads or cores()) if find_device(chosen.engine).type == "cpu" else 1


def run_of_part(wanted: Wanted) -> Run:
    """Returns the run of a part, `work/reproduce-CLAIM/SIDE-SEED-KEY`: its key covers the claim's own settings, its
    inputs and its code."""
    name, side, seed, chosen = wanted
    claim = claim_of(name)
    learnt = {key: value for key, value in settings.to_dict(chosen).items() if key not in COMMON}
    learnt |= {"side": side, "seed": seed, **claim.inputs(chosen)}
    code = [Row(f"{claim.train.__module__}:train"), *claim.code(chosen)]
    return run_of(Path(chosen.work) / f"reproduce-{name}", f"{side}-{seed}", learnt, code)


def part_of(wanted: Wanted) -> Part:
    """Returns a part that is trained."""
    manifest = run_of_part(wanted).manifest()
    return Part(wanted.side, wanted.seed, manifest["figures"], manifest["seconds"])


def train_parts(wanted: Sequence[Wanted], processes: int) -> Iterator[Wanted]:
    """Trains parts, at most that number of them at a time, and yields each one that is finished.

    Raises WorkerError: a process ended before its part was trained.
    """
    if processes == 1:
        for one in wanted:
            prepare_process(_threads(one.chosen), one.chosen.engine)
            train_part(one)
            yield one
    elif wanted:
        with _pool(min(processes, len(wanted)), wanted[0].chosen) as pool:
            running = {pool.submit(train_part, one): one for one in wanted}
            for future in as_completed(running):
                try:
                    future.result()
                except BrokenProcessPool:
                    hint = "with threads=1 it needs less memory, and it continues where it stopped"
                    raise WorkerError(f"reproduce {wanted[0].name}: a process was ended from outside; {hint}") from None
                yield running[future]


def train_part(wanted: Wanted) -> None:
    """Trains a part in this process."""
    once(run_of_part(wanted), partial(_train, wanted=wanted), wait=True, threads=_threads(wanted.chosen))


def _train(run: Run, wanted: Wanted) -> None:
    watch = Stopwatch()
    figures = claim_of(wanted.name).train(wanted.side, wanted.seed, wanted.chosen)
    run.finish(watch.seconds, figures=figures)


def _threads(chosen: ClaimSettings) -> int:
    """Returns the threads of a process: those of a GPU's feed it."""
    return 1 if find_device(chosen.engine).type == "cpu" else chosen.threads or cores()


@contextmanager
def _pool(processes: int, chosen: ClaimSettings) -> Iterator[ProcessPoolExecutor]:
    """Yields processes that end with the context, whatever they do then."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may never end
    pool = ProcessPoolExecutor(processes, context, _prepare, (chosen,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


def _prepare(chosen: ClaimSettings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes; the first one ends the others
    prepare_process(_threads(chosen), chosen.engine)


def wall_seconds(seconds: Sequence[float], processes: int) -> float:
    """Returns the wall time of parts of these seconds, each begun in order as soon as a process is free."""
    busy = [0.0] * processes
    heapify(busy)
    for one in seconds:
        heapreplace(busy, busy[0] + one)
    return max(busy)
