"""Measures the Ray engine beside the ideal: 16 jobs that sleep, by 1 to 16 workers of a cluster that runs here.

The jobs need no core, so that the figures are the engine's and not the machine's: begin with
`ray start --head --num-cpus=16`. Ray's own processes are started before, as they stay.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.harness import Report, cores, machine, options
from daguan.core.progress import Bar
from daguan.pipeline.engines.ray_engine import RayEngine
from daguan.pipeline.engines.running import Work
from daguan.training.engine_settings import EngineSettings

JOBS, SECONDS, QUICK_SECONDS = 16, 5.0, 0.5
WORKERS = (1, 2, 4, 8, 16)
ENGINE = EngineSettings(kind="ray", device="cpu", memory=0)


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    nap = QUICK_SECONDS if asked.quick else SECONDS
    report = Report("ray_tasks", machine(cores()))
    with tempfile.TemporaryDirectory() as folder:
        RayEngine().check(ENGINE, Path(folder))
        seconds_of(Path(folder) / "first", nap, max(WORKERS))  # starts the cluster's processes
        for workers in WORKERS:
            seconds = seconds_of(Path(folder) / str(workers), nap, workers)
            ideal = JOBS / workers * nap
            overhead = (seconds - ideal) * workers / JOBS
            report.add(
                {"workers": workers, "seconds": seconds, "ideal": ideal, "share of the ideal": ideal / seconds}
                | {"overhead a job, s": overhead}
            )
    report.note(f"{JOBS} jobs of {nap:g} s; the overhead is the start of a process, and two looks a second at it")
    report.show(asked.json)


def seconds_of(folder: Path, nap: float, workers: int) -> float:
    """Returns the seconds of all jobs, with that number of them given to the cluster at a time."""
    engine, text = RayEngine(), json.dumps({"seconds": nap})
    works = [Work(f"nap {job}", str(folder / str(job)), 1, text, worker="benchmarks.sleeper") for job in range(JOBS)]
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as executor:
        list(executor.map(partial(_do, engine), works))
    return time.perf_counter() - start


def _do(engine: RayEngine, work: Work) -> None:
    with Bar(work.name) as bar:
        assert engine.do(work, ENGINE, bar, lambda progress: True)


if __name__ == "__main__":
    main(sys.argv[1:])
