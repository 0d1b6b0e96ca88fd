"""What is shown of several jobs together: how many are done, and the time to the end of the last one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import fmean

from daguan.core.progress import Bar, Row


@dataclass
class Whole:
    """Jobs of which `workers` run at a time. A job is expected to take as long as those of its kind, or else as any.

    Attributes:
        kinds: the kind of each job, by its name.
        running: the bar of each running job, by its name, with the time of its begin.
        seconds: how long the finished jobs of each kind took.
        expected: how long a job of a kind is estimated to take, where none has said anything.
    """

    name: str
    kinds: dict[str, str]
    workers: int
    running: dict[str, tuple[Bar, float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)

    def begin(self, name: str, bar: Bar) -> None:
        self.running[name] = (bar, time.monotonic())

    def end(self, name: str) -> None:
        _, since = self.running.pop(name)
        self.seconds.setdefault(self.kinds.pop(name), []).append(time.monotonic() - since)

    @property
    def done(self) -> int:
        """How many jobs are done."""
        return sum(map(len, self.seconds.values()))

    def row(self) -> Row:
        total = self.done + len(self.kinds)
        shares = [bar.row().share or 0.0 for bar, _ in tuple(self.running.values())]
        amount = f"{self.done} of {total} jobs done"
        return Row(self.name, (self.done + sum(shares)) / max(1, total), amount, self.seconds_left())

    def seconds_left(self) -> float | None:
        """Returns the estimated seconds to the end of all jobs; None while no job says anything."""
        running = dict(self.running)
        if not self.kinds:
            return 0.0
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
        return max([sum(left.values()) / self.workers, *now])
