"""Divides what remains of a budget among the tasks that remain, and chooses the folds that it pays for."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STEPS = 40  # of the bisection
FOLDS = ((0.08, 10), (0.015, 5), (0.003, 3))  # (seconds for each training token, the folds that they are enough for)
FEWEST = 2
FOLD_SECONDS = 100.0  # fewest seconds of a fold of all members, as each begins with starting a process
FOLD_LINES = 20  # fewest lines that a fold holds out: of a smaller contest, folds would cost more than they tell
LEAST_SECONDS = 0.0015  # for each training token; with less, some lines do not take part


FIRST, MEASURE, PRETRAIN, FOLD = "first", "measure", "pretrain", "fold"  # kinds of tasks


@dataclass(frozen=True)
class Task:
    """One job of a plan.

    Attributes:
        kind: FIRST, one n-gram CRF on some lines; MEASURE, of this machine's speed; PRETRAIN; or FOLD.
        member: whose job it is; of a pretraining that members share, the first of these.
        fold: the number of the fold.
        weight: its share of the time beside other tasks.
        after: the name of the task that must end before; empty for none.
        overhead: seconds besides training: starting a process, labelling.
        most: seconds of training that it can use.
    """

    kind: str
    member: str
    fold: int = 0
    weight: float = 1.0
    after: str = ""
    overhead: float = 0.0
    most: float = math.inf

    @property
    def name(self) -> str:
        return f"{self.kind} {self.member} {self.fold}"

    def training(self, scale: float) -> float:
        """Returns the seconds of training at that number of seconds for a weight of 1."""
        return min(self.weight * scale, self.most)


def makespan(tasks: Sequence[Task], scale: float, free: Sequence[float], ends: Mapping[str, float]) -> float:
    """Returns when all tasks are done, each begun by the first free worker once what it comes after has ended.

    Args:
        tasks: in the order in which they begin.
        free: when each worker is free.
        ends: when tasks that run, or have ended, end. A task that comes after any other does not wait.
    """
    known, waiting, workers = dict(ends), list(tasks), sorted(free)
    names = {*known, *(task.name for task in tasks)}
    while waiting:
        now = heapq.heappop(workers)
        ready = next(
            (task for task in waiting if task.after not in names or known.get(task.after, math.inf) <= now), None
        )
        if ready is None:  # this worker waits for the next end
            heapq.heappush(workers, min(end for end in known.values() if end > now))
            continue
        waiting.remove(ready)
        known[ready.name] = now + ready.overhead + ready.training(scale)
        heapq.heappush(workers, known[ready.name])
    return max([*workers, *known.values()])


def largest_scale(tasks: Sequence[Task], free: Sequence[float], ends: Mapping[str, float], limit: float) -> float:
    """Returns the most seconds for a weight of 1 with which all tasks end by the limit; 0 if they cannot."""
    useful = (task.most if task.most < math.inf else limit for task in tasks)
    low, high = 0.0, max(most / task.weight for most, task in zip(useful, tasks, strict=True))
    if makespan(tasks, high, free, ends) <= limit:  # all get what they can use, and more if that was estimated too low
        return max(high, limit / min(task.weight for task in tasks))
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if makespan(tasks, middle, free, ends) <= limit else (low, middle)
    return low


def folds_and_lines(tokens: int, lines: int, units: int, seconds: float) -> tuple[int, int]:
    """Returns the number of folds, and of the training lines that take part (0 for all), that a budget pays for.

    Args:
        units: of lines that no fold divides, as they share a text or a document.
        seconds: those of all workers together.
    """
    each = seconds / tokens
    if each < LEAST_SECONDS:
        return FEWEST, max(FEWEST, int(lines * each / LEAST_SECONDS))
    worth = (count for least, count in FOLDS if each >= least and seconds >= count * FOLD_SECONDS)
    return max(FEWEST, min(next(worth, FEWEST), lines // FOLD_LINES, units)), 0
