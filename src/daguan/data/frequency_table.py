"""Reads a public frequency table: one token of a natural language a line, `token<TAB or space>count`."""

from __future__ import annotations

import re
from pathlib import Path

from daguan.core.errors import DataError
from daguan.data.format import iter_lines, shorten

LINE = re.compile(r"(\S+)[\t ](\d{1,18})")  # a count that fits into 64 bits


def read_by_frequency(path: Path) -> list[str]:
    """Returns the tokens by falling count, ties as in the file. Raises DataError: no such file, or a malformed line."""
    counts: dict[str, int] = {}
    for number, line in iter_lines(path):
        found = LINE.fullmatch(line)
        if found is None:
            raise DataError(f"{path}:{number}: expected token<TAB or space>count, got {shorten(line)}")
        if found[1] in counts:
            raise DataError(f"{path}:{number}: expected each token once, got {shorten(found[1])} again")
        counts[found[1]] = int(found[2])
    return sorted(counts, key=lambda token: -counts[token])
