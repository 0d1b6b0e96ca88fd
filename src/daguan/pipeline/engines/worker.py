"""A worker process, `python -m daguan.pipeline.engines.worker JOB.json`: does one fold job, reports on standard output.

It lives as long as its pipe: when the parent is killed, the next report fails and the worker ends.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from daguan.core.errors import DaguanError, ended, exit_code_of
from daguan.core.files import read_json
from daguan.core.progress import Progress
from daguan.families.fold import FoldJob
from daguan.families.jobs import run_job

REPORT_SECONDS = 0.5


class _Reporter:
    """Sends at most two reports a second, and those that bring an evaluation, and the last one."""

    def __init__(self) -> None:
        self._sent = 0.0
        self._evaluations = 0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        news = progress.done == progress.total or len(progress.f1s) > self._evaluations
        if now - self._sent >= REPORT_SECONDS or news:
            print(progress.to_line(), flush=True)
            self._sent, self._evaluations = now, len(progress.f1s)


def main(path: str) -> int:
    try:
        run_job(FoldJob.from_json(read_json(Path(path)), path), _Reporter())
    except BrokenPipeError:
        sys.stderr.close()  # the parent is gone: nobody to tell
        return 1
    except DaguanError as error:
        return ended(str(error), error.exit_code)
    except OSError as error:
        return ended(str(error), exit_code_of(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
