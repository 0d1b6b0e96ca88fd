"""A worker process, `python -m daguan.pipeline.engines.worker JOB.json`: does one job and reports on standard output,
where nothing else is printed.

It lives as long as its pipe: when the parent is killed, the next report fails and the worker ends. On SIGTERM it saves
a checkpoint and ends with exit code 130; the same command continues from there. Where several processes do the job, it
starts them, unless a launcher has.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from daguan.core.errors import DaguanError, ended, exit_code_of
from daguan.core.files import read_json
from daguan.core.processes import settle_environment
from daguan.core.progress import Bar, Progress
from daguan.core.streams import settle_streams, take_stdout
from daguan.families.fold import FoldJob
from daguan.families.job import Job
from daguan.families.jobs import run_job
from daguan.pipeline.engines.local import LocalEngine, do_until
from daguan.pipeline.work.pretrain import PretrainJob, pretrain
from daguan.training import ranks

REPORT_SECONDS = 0.5


class Kind(NamedTuple):
    """One kind of job: its class, and what does it."""

    job: type[Job]
    run: Callable[[Any, Callable[[Progress], None]], dict[str, Any]]


JOBS = {kind.job.kind: kind for kind in (Kind(FoldJob, run_job), Kind(PretrainJob, pretrain))}


class _Reporter:
    """Sends at most two reports a second, and those that bring an evaluation, and the last one."""

    def __init__(self, reports: TextIO) -> None:
        self._reports = reports
        self._sent = 0.0
        self._evaluations = 0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        news = progress.done == progress.total or len(progress.f1s) > self._evaluations
        if now - self._sent >= REPORT_SECONDS or news:
            print(progress.to_line(), file=self._reports, flush=True)
            self._sent, self._evaluations = now, len(progress.f1s)


def main(path: str, reports: TextIO) -> int:
    """Do the job and return the exit code of the process."""
    try:
        values = read_json(Path(path))
        kind = JOBS[values["kind"]]
        job = kind.job.from_json(values, path)
        reporter = _Reporter(reports)
        if job.processes > 1 and ranks.COUNT not in os.environ:
            _by_ranks(job, reporter)
        else:
            with ranks.joined():
                kind.run(job, reporter if ranks.is_first() else lambda progress: None)
    except BrokenPipeError:
        sys.stderr.close()  # the parent is gone: nobody to tell
        return 1
    except DaguanError as error:
        return ended(str(error), error.exit_code)
    except OSError as error:
        return ended(str(error), exit_code_of(error))
    return 0


def _by_ranks(job: Job, report: Callable[[Progress], None]) -> None:
    """Do the job by processes of its own, of which the first one reports."""
    engine = LocalEngine()

    def watch(progress: Progress) -> bool:
        report(progress)
        return True

    with Bar(job.name) as bar:
        do_until(signal.SIGTERM, engine, lambda: engine.run(job, bar, watch))


if __name__ == "__main__":
    settle_streams()
    settle_environment()  # an engine has done this before; a batch system has not
    sys.exit(main(sys.argv[1], take_stdout()))
