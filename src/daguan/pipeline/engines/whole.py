"""The progress of several jobs together: how many are done, and the time until the last of them ends."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import fmean

from daguan.core.progress import Bar, Row
from daguan.core.quantity import quantity


@dataclass
class Whole:
    """Jobs that an engine does, some at a time; the others wait. A job is expected to take as long as finished jobs of
    its kind, or else as any finished job.

    Attributes:
        kinds: the kind of each job that is not done, by its name.
        given: the bar of each job that the engine has, by its name.
        seconds: how long the finished jobs of each kind took.
        expected: how long a job of a kind is estimated to take, where none has said anything.
        at_once: the most jobs that were seen to run together.
    """

    name: str
    kinds: dict[str, str]
    given: dict[str, Bar] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    at_once: int = 1

    def give(self, name: str, bar: Bar) -> None:
        self.given[name] = bar

    def end(self, name: str) -> None:
        bar, now = self.given.pop(name), time.monotonic()
        since = now if bar.begun is None else bar.begun
        self.seconds.setdefault(self.kinds.pop(name), []).append(now - since)

    @property
    def done(self) -> int:
        """How many jobs are done."""
        return sum(map(len, self.seconds.values()))

    def row(self) -> Row:
        total = self.done + len(self.kinds)
        shares = [bar.row().share or 0.0 for bar in tuple(self.given.values())]
        amount = f"{self.done} of {quantity(total, 'job')} done"
        return Row(self.name, (self.done + sum(shares)) / max(1, total), amount, self.seconds_left())

    def seconds_left(self) -> float | None:
        """Returns the estimated seconds to the end of all jobs; None while no job says anything."""
        if not self.kinds:
            return 0.0
        running = {name: (bar, bar.begun) for name, bar in tuple(self.given.items()) if bar.begun is not None}
        self.at_once = max(self.at_once, len(running))
        took = {kind: [*found] for kind, found in self.seconds.items()}
        left: dict[str, float] = {}
        for name, (bar, since) in running.items():
            if (seconds := bar.row().seconds_left) is not None:
                left[name] = seconds
                took.setdefault(self.kinds[name], []).append(time.monotonic() - since + seconds)
        for kind, seconds in self.expected.items():
            took.setdefault(kind, [seconds])
        every = [seconds for found in took.values() for seconds in found]
        if not every:
            return None
        for name, kind in tuple(self.kinds.items()):
            if name not in left:
                expected = fmean(took.get(kind, every))
                left[name] = max(0.0, expected - (time.monotonic() - running[name][1])) if name in running else expected
        now = [left[name] for name in running if name in left]
        return max([sum(left.values()) / self.at_once, *now])
