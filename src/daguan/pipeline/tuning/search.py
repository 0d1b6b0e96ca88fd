"""The loop of a study's workers: claim a trial, run it, record how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event

from daguan.core.errors import DaguanError, StoppedError, WriteError
from daguan.core.progress import Row, say, shown
from daguan.core.quantity import quantity
from daguan.pipeline.tuning.optuna_study import Record, answering
from daguan.pipeline.tuning.study import Study, Watch
from daguan.pipeline.tuning.trials import COMPLETE, FAILED, PRUNED, REPEATED, Outcome, Trial

POLL_SECONDS = 1.0  # while the trials for which the next one waits are running

Run = Callable[[Trial, Watch], Outcome | None]


def search(study: Study, run: Run, workers: int, halt: Callable[[], None] = lambda: None) -> None:
    """Begin and run trials, `at_once` at a time, until none remain or the time is over.

    `run` returns None if `watch` said to stop; a DaguanError of its own is a failed trial, and the study continues.
    `halt` ends the running trials when the search is interrupted.

    Raises:
        StoppedError, WriteError, or ConfigError for a storage that no longer answers: the next process that works on
        the study does the trial.
    """
    over = Event()
    counted = _Counted(study)
    minutes = study.settings.timeout
    deadline = time.monotonic() + 60 * minutes if minutes else float("inf")
    with shown(counted.row), ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(_work, study, run, over, deadline, counted) for _ in range(workers)]
        try:
            for future in as_completed(futures):
                with answering():
                    future.result()
        finally:  # after an error or an interrupt; otherwise there is nothing to stop
            over.set()
            halt()


class _Counted:
    """The trials that are done, for the line of the whole search."""

    def __init__(self, study: Study) -> None:
        self.total = study.settings.trials
        self.before = sum(trial.finished for trial in study.trials())
        self.here, self.since = 0, time.monotonic()

    def row(self) -> Row:
        done = self.before + self.here
        left = (time.monotonic() - self.since) / self.here * (self.total - done) if self.here else None
        return Row("tune", done / self.total, f"{done} of {quantity(self.total, 'trial')} done", left)


def _work(study: Study, run: Run, over: Event, deadline: float, counted: _Counted) -> None:
    waiting = False
    while not over.is_set() and time.monotonic() < deadline:
        with study.claimed() as record:
            if record is not None:
                _do(study, record, run)
                counted.here += 1
        if record is not None:
            waiting = False
            continue
        if study.begun:
            return
        if not waiting:
            running = ", ".join(str(trial.index) for trial in study.trials() if not trial.finished)
            say(f"tune: the next trial waits for the results of {running or 'another process'}")
        waiting = True
        over.wait(POLL_SECONDS)


def _do(study: Study, record: Record, run: Run) -> None:
    trial = record.trial
    if trial.state == REPEATED:
        say(f"trial {trial.index}: {trial.reason}, not run")
        return
    say(f"trial {trial.index}: {described(trial)}")
    outcome, state, reason = None, PRUNED, ""
    try:
        outcome = run(trial, study.watch(record))
    except (StoppedError, WriteError):
        raise
    except DaguanError as error:
        state, reason = FAILED, str(error)
    if outcome:
        state, reason = COMPLETE, ""
    why = reason or "its F1 is below the median of earlier trials at that step"
    how = f"F1 {100 * outcome.f1:.2f}, {outcome.seconds:.0f} s" if outcome else f"{state}: {why}"
    if study.store.finish(record, state, outcome, reason):
        say(f"trial {trial.index}: {how}")
    else:
        say(f"trial {trial.index}: {how}; another worker had given it up, so this is not recorded")


def described(trial: Trial) -> str:
    return ", ".join(f"{path}={value}" for path, value in trial.parameters.items())
