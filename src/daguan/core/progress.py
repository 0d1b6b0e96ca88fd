"""Progress of the work: bars in a terminal, and plain lines elsewhere, at most one a minute for each bar."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from threading import RLock
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from daguan.core.terminal import Terminal

LINE_SECONDS = 60.0  # between two lines of a bar without a terminal


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of some work.

    Attributes:
        done, total: in units; a total of 0 is unknown.
        unit: what is counted.
        loss: of training; None for work without one.
        f1s: F1 of each evaluation before the end so far.
        note: anything else to show.
        rate: the highest learning rate of the last update; None for work without one.
        seconds: of training so far; None for work that does not count them.
    """

    done: int
    total: int
    unit: str
    loss: float | None = None
    f1s: tuple[float, ...] = ()
    note: str = ""
    rate: float | None = None
    seconds: float | None = None

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Progress | None:
        """The inverse of `to_line`; None for anything else."""
        try:
            values = json.loads(line)
            return cls(**values | {"f1s": tuple(values["f1s"])})
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def figures(self) -> str:
        """Loss, the last F1 and the note, as text."""
        loss = [] if self.loss is None else [f"loss {self.loss:.3f}" if self.loss < 1000 else f"loss {self.loss:.0f}"]
        f1 = [f"F1 {100 * self.f1s[-1]:.2f}"] if self.f1s else []
        return ", ".join([*loss, *f1, *([self.note] if self.note else [])])


@dataclass(frozen=True, slots=True)
class Row:
    """What a bar shows.

    Attributes:
        share: of the work that is done; None where it is not known.
        amount: how much is done, and how fast.
        seconds_left: until the end; None where it is not known.
    """

    name: str
    share: float | None = None
    amount: str = ""
    seconds_left: float | None = None
    figures: str = ""

    @property
    def time_left(self) -> str:
        return "" if self.seconds_left is None else f"{clock(self.seconds_left)} left"

    @property
    def line(self) -> str:
        share = "" if self.share is None else f"{100 * self.share:.0f} %"
        return f"{self.name}: " + ", ".join(part for part in (share, self.amount, self.time_left, self.figures) if part)


class Bar:
    """The bar of one job, fed with `Progress`, gone after its context. It opens at the first one, so that a resumed job
    shows its own rate.

    Attributes:
        begun: when the engine began the job, by the clock `time.monotonic`; None while it waits.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun: float | None = None
        self._first: Progress | None = None
        self._last: Progress | None = None
        self._since = 0.0

    def begin(self) -> None:
        self.begun = time.monotonic()

    def show(self, progress: Progress) -> None:
        self._last = progress
        if self._first is None:
            self._first, self._since = progress, time.monotonic()
            SCREEN.open(self.row)
        SCREEN.changed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._first is not None:
            SCREEN.close(self.row)
            self._first = None

    def row(self) -> Row:
        """Returns what the bar shows now."""
        if self._first is None or self._last is None:
            return Row(self.name)
        last, rate = self._last, self._rate(self._last, self._first)
        left = (last.total - last.done) / rate if last.total and rate else None
        amount = f"{short(last.done)} {last.unit}" if not last.total else ""
        speed = f"{short(rate)} {last.unit}/s" if rate else ""
        share = last.done / last.total if last.total else None
        return Row(self.name, share, ", ".join(part for part in (amount, speed) if part), left, last.figures)

    def _rate(self, last: Progress, first: Progress) -> float:
        """Returns units a second; 0 before anything is done."""
        seconds = time.monotonic() - self._since
        return (last.done - first.done) / seconds if seconds > 0 else 0.0


class Screen:
    """All rows of this process: in a terminal drawn again and again, elsewhere printed now and then."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[Callable[[], Row], float] = {}  # with the time of the last line
        self._terminal: Terminal | None = None

    def open(self, row: Callable[[], Row]) -> None:
        with self._lock:
            self._rows[row] = time.monotonic()
            if self._terminal is None and sys.stderr.isatty():
                from daguan.core.terminal import Terminal  # rich costs a tenth of a second

                self._terminal = Terminal(self.rows)

    def close(self, row: Callable[[], Row]) -> None:
        with self._lock:
            self._rows.pop(row, None)
            if self._terminal is not None and not self._rows:
                self._terminal.close()
                self._terminal = None

    def rows(self) -> list[Row]:
        return [row() for row in tuple(self._rows)]  # without the lock: the terminal's thread asks while one closes it

    def changed(self) -> None:
        """Print the rows whose last line is old, unless a terminal draws them."""
        with self._lock:
            now = time.monotonic()
            for row, printed in list(self._rows.items()) if self._terminal is None else ():
                if now - printed >= LINE_SECONDS:
                    self._rows[row] = now
                    print(row().line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        with self._lock:
            if self._terminal is not None:
                self._terminal.print(text)
            else:
                print(text, file=sys.stderr, flush=True)


SCREEN = Screen()  # a process has one terminal


@contextmanager
def shown(*rows: Callable[[], Row]) -> Iterator[None]:
    """Shows rows while the context lasts, such as that of a whole run; they are computed when they are drawn."""
    for row in rows:
        SCREEN.open(row)
    try:
        yield
    finally:
        for row in rows:
            SCREEN.close(row)


def say(text: str) -> None:
    """Prints a line for the user, above any bar."""
    SCREEN.say(text)


def clock(seconds: float) -> str:
    """Returns seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def short(number: float) -> str:
    """Returns a number in three digits, in thousands or millions where it is large."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
