"""What holds a budget while members are trained: one that fails, or for which time runs out, is dropped.

The others go on. What was dropped is written down beside the plan, and every command leaves it out from then on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from daguan.core.errors import DaguanError
from daguan.core.files import read_json, write_json
from daguan.core.progress import say
from daguan.core.runs import Stopwatch
from daguan.families.fold import FoldJob
from daguan.pipeline.budget.costs import COMMAND, makespan
from daguan.pipeline.engines.supervision import Supervisor

DROPPED, CLOCK = "dropped.json", "clock.json"
KEEP_SECONDS = 5.0  # between two times that the clock is written
FASTEST = 0.4  # of what was reckoned; a pace that is better is not trusted


def read_dropped(folder: Path) -> dict[str, str]:
    """Members that were dropped from the plan in that folder, and why."""
    path = folder / DROPPED
    return dict(read_json(path)) if path.is_file() else {}


class Clock:
    """Seconds worked on a plan: those of the commands before, kept in a file beside it, and of this one, which begins
    with what it takes to load. A pause does not count, as between a kill and the same command a day later; of a killed
    command that which it worked after it last kept its seconds is lost."""

    def __init__(self, path: Path, before: float) -> None:
        """before: where none are kept yet."""
        kept = read_json(path)["seconds"] if path.is_file() else before
        self._path, self._watch, self._kept = path, Stopwatch(kept + COMMAND), time.monotonic()

    @property
    def seconds(self) -> float:
        return self._watch.seconds

    def tick(self) -> None:
        if time.monotonic() - self._kept >= KEEP_SECONDS:
            self.keep()

    def keep(self) -> None:
        write_json(self._path, {"seconds": round(self.seconds, 1)})
        self._kept = time.monotonic()


class BudgetSupervisor(Supervisor):
    """Drops a member with a line that says why and who goes on. For want of time: before its first fold, if what is
    reckoned for all its folds and for what follows the training no longer fits into the minutes (of a spare one at
    the pace of the folds before it, which the plan's own are to be safe from); at any report, if what follows does
    not. One that an earlier command began is not reckoned anew, as what is left of it is not known. The first
    member that is left goes on whatever the time, so that there is something to submit; where none would be left,
    all is as if none had been dropped, and the error is raised."""

    def __init__(
        self, folder: Path, plan: Mapping[str, Any], needs: Mapping[str, Iterable[str]], folds: int, workers: int,
        before: float,
    ) -> None:  # fmt: skip
        """folder: of the plan. needs: of each member, in the order of training, itself and all it needs. before:
        seconds that planning and preparing took."""
        self.clock = Clock(folder / CLOCK, before)
        self._path, self._dropped = folder / DROPPED, read_dropped(folder)
        self._needs = {member: set(needed) for member, needed in needs.items()}
        self._limit, self._fold = 60 * plan["minutes"], plan["fold"]
        self._after = plan["seconds"]["blend"] + plan["seconds"]["submit and score"]
        self._folds, self._workers, self._spare = folds, workers, set(plan["spare"])
        self._since, self._started = self.clock.seconds, list[float]()  # reckoned seconds of each job begun since
        self._begun: set[str] = set()
        self._lock = RLock()  # what is asked from one thread may drop what another asks about

    def keeps(self, member: str) -> bool:
        return not self._dropped.keys() & self._needs[member]

    def starts(self, job: FoldJob, jobs: Sequence[FoldJob]) -> bool:
        with self._lock:
            ours = [other for other in jobs if other.member == job.member]
            begun = job.member in self._begun or len(ours) < self._folds or any(other.begun for other in ours)
            self._begun.add(job.member)
            starts = self._pays([job.member], 0.0 if begun else self._seconds(job.member, len(ours)))
            if starts:
                self._started.append(self._fold[job.member])
            return starts

    def goes_on(self, member: str) -> bool:
        return self._pays([member], 0.0)

    def is_worth_making(self, members: Sequence[str]) -> bool:
        """Is there time to train any of them, after the first, once this is made?"""
        first = [] if self._first in members else [self._first]
        cheapest = min(self._seconds(member, self._folds) for member in members)
        return self._pays(members, cheapest + sum(self._seconds(member, self._folds) for member in first))

    def failed(self, error: DaguanError, *members: str) -> None:
        with self._lock:
            kept = [member for member in members if self.keeps(member)]
            if kept and not self._left(kept):
                self._path.unlink(missing_ok=True)  # what they have in common is to be mended, and all tried anew
                raise error
            self._drop(kept, str(error))

    @property
    def _first(self) -> str:
        return next(member for member in self._needs if self.keeps(member))

    def _left(self, dropped: Iterable[str] = ()) -> list[str]:
        gone = {*self._dropped, *dropped}
        return [member for member, needed in self._needs.items() if not gone & needed]

    def _seconds(self, member: str, folds: int) -> float:
        pace = self._pace if member in self._spare else 1.0
        return pace * makespan([self._fold[member]] * folds, self._workers)

    @property
    def _pace(self) -> float:
        """Seconds taken for one that was reckoned. What was begun last, on the other workers, counts as not done yet; 1
        where nothing is."""
        done = sum(self._started[: len(self._started) - (self._workers - 1)])
        return max(FASTEST, (self.clock.seconds - self._since) * self._workers / done) if done else 1.0

    def _pays(self, members: Sequence[str], seconds: float) -> bool:
        """Is there time for so much and for what follows? Members for which there is none are dropped."""
        with self._lock:
            self.clock.tick()
            worked, more = self.clock.seconds, seconds + self._after
            if worked + more > self._limit and self._first not in members:
                over = f"{worked / 60:.1f} of {self._limit / 60:g} minutes are over"
                kept = [member for member in members if self.keeps(member)]
                self._drop(kept, f"{over}, and with it {more / 60:.1f} more are reckoned")
            return any(map(self.keeps, members))

    def _drop(self, members: Sequence[str], why: str) -> None:
        if not members:
            return
        self._dropped |= dict.fromkeys(members, why)
        write_json(self._path, self._dropped)
        left = ", ".join(self._left())
        say(f"budget: DROPPED {', '.join(members)}: {why}; goes on with {left} ({self._path})")
