"""Draws rows of progress in a terminal of any width: nothing is cut, what does not fit goes to the next line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from daguan.core.progress import Row

BAR = 20  # columns of a bar, in a wide terminal
NARROW = 8
SHARE, LEFT = 5, 13  # columns of `100 %` and of `10:00:00 left`
DONE, OPEN = "green", "bright_black"


class Terminal:
    """The rows at the bottom of a terminal; `print` writes lines above them."""

    def __init__(self, rows: Callable[[], Sequence[Row]], console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._rows = rows
        self._live = Live(
            console=self._console, get_renderable=self._drawn, transient=True, vertical_overflow="visible",
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()

    def _drawn(self) -> Group:
        ascii_only = not self._console.encoding.startswith("utf")
        return Group(*(line for row in self._rows() for line in lines_of(row, self._console.width, ascii_only)))

    def print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


def lines_of(row: Row, width: int, ascii_only: bool = False) -> list[Text]:
    """Returns a row as one line, or as several where one is not wide enough."""
    size = BAR if width >= 4 * BAR else NARROW
    tail = [row.amount, row.figures]
    parts = [Text(row.name)]
    if row.share is not None:
        parts += [_bar(row.share, size, ascii_only), Text(f"{100 * row.share:.0f} %".rjust(SHARE))]
        tail = [row.time_left.rjust(LEFT), *tail]
    elif row.time_left:
        tail = [row.time_left, *tail]
    parts += [Text(part) for part in tail if part.strip()]
    lines = [Text(no_wrap=False, overflow="fold")]
    for part in parts:
        if lines[-1] and lines[-1].cell_len + 2 + part.cell_len > width:
            lines.append(Text("  ", overflow="fold"))
            lines[-1].append_text(part)
        else:
            lines[-1].append_text(Text("  ") + part if lines[-1] else part)
    return lines


def _bar(share: float, size: int, ascii_only: bool) -> Text:
    done = min(size, int(share * size))
    full, rest = ("#", ".") if ascii_only else ("━", "─")
    return Text(full * done, DONE) + Text(rest * (size - done), OPEN)
