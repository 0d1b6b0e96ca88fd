"""Enforces a budget while members are trained: a member that fails or does not fit into the time is dropped.

The others continue. Dropped members are recorded beside the plan, and every later command leaves them out.
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
KEEP_SECONDS = 5.0  # the clock is written at most this often
FASTEST = 0.4  # the share of the estimate below which a pace is not trusted


def read_dropped(folder: Path) -> dict[str, str]:
    """Returns the members that were dropped from the plan in that folder, with the reasons."""
    path = folder / DROPPED
    return dict(read_json(path)) if path.is_file() else {}


class Clock:
    """Counts the seconds worked on a plan: those of earlier commands, stored in a file beside it, and of this one.

    This command's seconds begin with its loading time. Pauses do not count, such as between a kill and the same command
    a day later; a killed command loses the seconds since it last stored them.
    """

    def __init__(self, path: Path, before: float) -> None:
        """before: the seconds to start from if none are stored yet."""
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
    """Drops a member that fails or does not fit into the time, and says why and which members continue.

    It drops a member for lack of time before its first fold, if the estimate for all its folds and the later stages
    does not fit into the minutes (for a spare member at the pace of the folds before it, against which the plan's own
    estimate has a safety margin), and at any report, if the later stages do not fit. A member that an earlier command
    began has no new estimate, because its remaining work is not known. The first remaining member continues whatever
    the time, so that there is something to submit. If no member would remain, none is dropped and the error is raised.
    """

    def __init__(
        self, folder: Path, plan: Mapping[str, Any], needs: Mapping[str, Iterable[str]], folds: int, workers: int,
        before: float,
    ) -> None:  # fmt: skip
        """Read the seconds and the dropped members of earlier commands.

        Args:
            folder: the folder of the plan.
            needs: each member, in the order of training, with itself and everything that it needs.
            before: the seconds of planning and preparing.
        """
        self.clock = Clock(folder / CLOCK, before)
        self._path, self._dropped = folder / DROPPED, read_dropped(folder)
        self._needs = {member: set(needed) for member, needed in needs.items()}
        self._limit, self._fold = 60 * plan["minutes"], plan["fold"]
        self._after = plan["seconds"]["blend"] + plan["seconds"]["submit and score"]
        self._folds, self._workers, self._spare = folds, workers, set(plan["spare"])
        self._since, self._started = self.clock.seconds, list[float]()  # estimated seconds of each job begun since
        self._begun: set[str] = set()
        self._lock = RLock()  # a question of one thread may drop the member about which another one asks

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
        """Whether there is time to train any of them, after the first member, once this is made."""
        first = [] if self._first in members else [self._first]
        cheapest = min(self._seconds(member, self._folds) for member in members)
        return self._pays(members, cheapest + sum(self._seconds(member, self._folds) for member in first))

    def failed(self, error: DaguanError, *members: str) -> None:
        with self._lock:
            kept = [member for member in members if self.keeps(member)]
            if kept and not self._left(kept):
                self._path.unlink(missing_ok=True)  # after their common cause is fixed, all are tried again
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
        """Returns the seconds taken for each estimated second; the other workers' last jobs count as unfinished."""
        done = sum(self._started[: len(self._started) - (self._workers - 1)])
        return max(FASTEST, (self.clock.seconds - self._since) * self._workers / done) if done else 1.0

    def _pays(self, members: Sequence[str], seconds: float) -> bool:
        """Whether there is time for these seconds and the later stages. Members without enough time are dropped."""
        with self._lock:
            self.clock.tick()
            worked, more = self.clock.seconds, seconds + self._after
            if worked + more > self._limit and self._first not in members:
                used = f"{worked / 60:.1f} of {self._limit / 60:g} min used"
                kept = [member for member in members if self.keeps(member)]
                self._drop(kept, f"{used}; this member needs {more / 60:.1f} more")
            return any(map(self.keeps, members))

    def _drop(self, members: Sequence[str], why: str) -> None:
        if not members:
            return
        self._dropped |= dict.fromkeys(members, why)
        write_json(self._path, self._dropped)
        left = ", ".join(self._left())
        say(f"budget: DROPPED {', '.join(members)}: {why}; continuing with {left} ({self._path})")
