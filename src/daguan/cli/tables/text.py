"""A table for a terminal of any width."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

GAP = "  "
LEFT = 2  # columns of names, which are left-aligned and folded where the terminal is narrow
NARROWEST = 8  # of a folded column

Cells = Sequence[str]


def print_table(header: Cells, rows: Sequence[Cells]) -> None:
    """Print columns as wide as needed; all but the first two are right-aligned. In a terminal no line is wider than it,
    and no figure is cut."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    print("\n".join(table_lines(header, rows, width)), end="\n\n", flush=True)


def table_lines(header: Cells, rows: Sequence[Cells], width: int = 0) -> list[str]:
    """Returns the lines of a table of at most that width, 0 for any.

    Long names are folded, the widest column first. Where that is not enough, each row is a block of lines, one a cell.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for column in sorted(range(min(LEFT, len(widths))), key=widths.__getitem__, reverse=True):
        over = sum(widths) + len(GAP) * (len(widths) - 1) - width
        if width and over > 0:
            widths[column] = max(min(NARROWEST, widths[column]), widths[column] - over)
    if width and sum(widths) + len(GAP) * (len(widths) - 1) > width:
        return [line for row in rows for line in _block(header, row, width)]
    return [line for row in [header, *rows] for line in _folded(row, widths)]


def _folded(row: Cells, widths: Sequence[int]) -> Iterator[str]:
    """Gives the lines of a row; figures stand in the first one."""
    columns = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    for cells in zip_longest(*columns, fillvalue=""):
        aligned = (c.ljust(w) if i < LEFT else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        yield GAP.join(aligned).rstrip()


def _block(header: Cells, row: Cells, width: int) -> Iterator[str]:
    """Gives the lines `column: cell` of a row, after an empty line."""
    yield ""
    for name, cell in zip(header, row, strict=True):
        if cell:
            yield from textwrap.wrap(f"{name}: {cell}" if name else cell, width, subsequent_indent="  ")


def _wrapped(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, max(1, width), break_on_hyphens=False) or [""]
