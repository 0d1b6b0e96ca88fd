"""Progress bars with rate, remaining time, and figures of the work."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

QUIET_SECONDS = 10.0  # between two lines without a terminal


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of some work.

    Attributes:
        done, total: in units.
        unit: what is counted.
        figures: text to show, such as loss and F1.
        f1s: F1 of each evaluation before the end so far.
    """

    done: int
    total: int
    unit: str
    figures: str = ""
    f1s: tuple[float, ...] = ()

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Progress:
        values = json.loads(line)
        return cls(**values | {"f1s": tuple(values["f1s"])})


class Bar:
    """A tqdm bar fed with `Progress`. It opens at the first one, so that a resumed job shows its own rate."""

    def __init__(self, name: str, position: int = 0) -> None:
        self.name = name
        self.position = position
        self._bar: Any = None

    def show(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = tqdm(
                desc=self.name,
                total=progress.total,
                initial=progress.done,
                unit=f" {progress.unit}",
                unit_scale=True,
                position=self.position,
                mininterval=0.5 if sys.stderr.isatty() else QUIET_SECONDS,
                dynamic_ncols=True,
                file=sys.stderr,
            )
        self._bar.set_postfix_str(progress.figures, refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def say(text: str) -> None:
    """Prints a line for the user, above any bar."""
    tqdm.write(text, file=sys.stderr)
    sys.stderr.flush()
