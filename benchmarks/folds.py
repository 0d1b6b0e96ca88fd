"""Compares k folds on all cores (daguan's local engine, a process of one thread a core) with the same folds in turn.

The peer runs the same jobs one after another in one process with all threads. Time is wall clock from the start of the
first process to the end of the last; every round trains all folds again. Encoders are not pretrained.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks import data
from benchmarks.harness import ROOT, Aim, Comparison, Report, alternate, cores, machine, options, our_environment
from benchmarks.ours import precision
from daguan.families.fold import FoldJob
from daguan.families.jobs import run_job
from daguan.pipeline.engines.running import run_jobs
from daguan.pipeline.stages import Stages

FOLDS = 4
AIM_ON_TWO_CORES = 1.7
TRAINING = ("members=tagger", f"folds.count={FOLDS}", "pretrain.tokens=0", "train.epochs=1", "train.evaluations=1")
SMALL = ("contest.train_lines=3000", "contest.test_lines=1000")
TRAINING_QUICK = ("encoder.layers=1", "encoder.hidden=64", "encoder.heads=2", "encoder.feed_forward=128")


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    jobs = fold_jobs(asked.quick)
    report = Report("folds", machine(cores(), precision()))
    sides = {"ours": partial(seconds, jobs, True), "peer": partial(seconds, jobs, False)}
    given = alternate(1 if asked.quick else 3, sides)
    found = Comparison.of_seconds(given["ours"], given["peer"])
    layout = f"{cores()} processes of 1 thread against 1 process of {cores()} threads"
    aims = [Aim.at_least(f"{FOLDS} folds on {cores()} cores", AIM_ON_TWO_CORES, found.ratio, " x")]
    report.add({"layout": layout, "folds": FOLDS, **found.row("s")}, *aims)
    report.show(asked.json)


def fold_jobs(quick: bool) -> list[FoldJob]:
    """Returns the tagger's jobs of the default preset without pretraining, one epoch a fold."""
    more = [*TRAINING, *(TRAINING_QUICK if quick else SMALL)]
    data.prepared(quick, *more)
    return Stages(data.settings(quick, *more)).fold_jobs("tagger", threads=1)


def seconds(jobs: list[FoldJob], together: bool) -> float:
    """Returns the seconds of doing all jobs in fresh folders."""
    with tempfile.TemporaryDirectory() as folder:
        threads = 1 if together else cores()
        moved = [dataclasses.replace(job, folder=f"{folder}/{job.fold}", threads=threads) for job in jobs]
        start = time.perf_counter()
        if together:
            run_jobs(moved, workers=cores())
        else:
            words = [
                sys.executable,
                "-m",
                "benchmarks.folds",
                "--in-turn",
                json.dumps([job.to_json() for job in moved]),
            ]
            subprocess.run(words, cwd=ROOT, env=our_environment(cores()), check=True)
        return time.perf_counter() - start


def in_turn(jobs: str) -> None:
    """Do one job after another in this process."""
    for job in json.loads(jobs):
        Path(job["folder"]).mkdir(parents=True)
        run_job(FoldJob.from_json(job, "--in-turn"), lambda progress: None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-turn"]:
        in_turn(sys.argv[2])
    else:
        main(sys.argv[1:])
