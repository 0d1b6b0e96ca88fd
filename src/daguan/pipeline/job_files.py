"""Writes job files for a batch system: `python -m daguan.pipeline.job_files [CONFIG] [key=value …]`.

It prints the paths of the job files that can be done now, one a line: those of pretraining, or else those of the folds
of members whose needs are trained. `python -m daguan.pipeline.engines.worker PATH` does one. When all are done, the
same command prints those of the next round, and nothing after the last one; `daguan run` then finds all of it done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from daguan.core.errors import DaguanError, ended
from daguan.core.files import write_json
from daguan.families.job import JOB, Job
from daguan.pipeline import prepare, pretrain, train
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.devices import share_cores


def main(words: list[str]) -> int:
    """Write the files, print their paths, and return the exit code."""
    try:
        for job in next_jobs(words):
            path = Path(job.folder) / JOB
            write_json(path, job.to_json())
            print(path)
    except DaguanError as error:
        return ended(str(error), error.exit_code)
    return 0


def next_jobs(words: list[str]) -> Sequence[Job]:
    """Returns the unfinished jobs that need no other unfinished one, after making what they read."""
    settings = load(words)
    prepare.make(settings)
    stages = Stages(settings)
    starts = pretrain.starts_of(stages, settings.trained)
    jobs = pretrain.jobs_of(stages, starts)[0]
    if begun := [job for job in jobs.values() if not job.finished]:
        return begun
    for name, run in starts.items():
        pretrain.finish(run, jobs[name])
    _, threads = share_cores(settings.engine, len(settings.trained) * settings.folds.count)
    for members in train.rounds_of(settings):
        train.pseudo_labels(stages, members)
        if waiting := [job for member in members for job in stages.fold_jobs(member, threads) if not job.finished]:
            return waiting
        for member in members:
            train.finish(stages, member, stages.fold_jobs(member, threads), stages.train(member))
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
