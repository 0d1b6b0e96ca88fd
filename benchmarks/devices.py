"""Compares processes that train one model together (engine.devices) with one process that has all threads.

One process on a CPU divides a pretraining update among threads (training/threads.py) and computes each operation of
fine-tuning on all of them; processes send each other their gradients after every update. Tokens a second of training,
start-up left out, a process a core. Both train the default preset's encoder and tagger; every round trains again.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from functools import partial

from benchmarks import data
from benchmarks.harness import Comparison, Report, alternate, cores, machine, options
from benchmarks.ours import precision
from daguan.families.job import Job, result_of
from daguan.pipeline.engines.running import run_jobs
from daguan.pipeline.pretrain import pretrain_job
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages

SMALL = ("contest.train_lines=3000", "contest.test_lines=300", "pretrain.tokens=150000", "train.epochs=1")
LESS = ("encoder.layers=1", "encoder.hidden=64", "encoder.heads=2", "encoder.feed_forward=128", "pretrain.tokens=20000")


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    count = max(2, cores())
    more = [*SMALL, "folds.count=3", f"train.accumulation={count}", *(LESS if asked.quick else ())]
    data.prepared(asked.quick, *more)
    settings = data.settings(asked.quick, *more)
    report = Report("devices", machine(cores(), precision()))
    for work, job_of in {"pretraining": pretraining, "fine-tuning": fine_tuning}.items():
        job = job_of(settings)
        sides = {
            "ours": partial(tokens_per_second, job, processes=count, threads=1),
            "peer": partial(tokens_per_second, job, processes=1, threads=count),
        }
        given = alternate(1 if asked.quick else 3, sides)
        layout = f"{count} processes against 1 of {count} threads"
        report.add({"work": work, "layout": layout, **Comparison.of_rates(given["ours"], given["peer"]).row("tok/s")})
    report.show(asked.json)


def pretraining(settings: Settings) -> Job:
    return pretrain_job(Stages(settings), "tagger", threads=1)


def fine_tuning(settings: Settings) -> Job:
    """Returns a fold's job without a pretrained encoder."""
    without = settings.replace(pretrain=settings.pretrain.replace(tokens=0))
    return Stages(without).fold_jobs("tagger", threads=1)[0]


def tokens_per_second(job: Job, processes: int, threads: int) -> float:
    """Returns the speed of the job in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        moved = dataclasses.replace(job, folder=folder, processes=processes, threads=threads)
        run_jobs([moved], workers=1)
        return float(result_of(moved)["tokens_per_second"])


if __name__ == "__main__":
    main(sys.argv[1:])
