"""Writes submissions/LEADERBOARD.md: one row a submission, the best out-of-fold score first.

The file may be edited by hand: text around the table stays, and so do other tables, rows and columns.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from daguan.core.errors import DataError
from daguan.core.files import write_text
from daguan.data.metrics import METRICS

FILE = "LEADERBOARD.md"
TEST = tuple(f"test {metric} F1" for metric in METRICS)
OWN = "out-of-fold span F1"
COLUMNS = ("submission", OWN, *TEST, "date", "commit", "command")
TITLE = "# Submissions\n\nWritten by `python -m daguan submit`. F1 in percent; test scores where gold labels exist."
CELL = re.compile(r"(?<!\\)\|")  # between two cells

Row = dict[str, str]


def record(folder: Path, manifest: dict[str, Any]) -> None:
    """Adds the submission's row, or replaces it. Raises DataError: the file is not UTF-8."""
    before, columns, found, after = read(folder)
    new = _row(manifest)
    rows = [row | new if row["submission"] == new["submission"] else row for row in found]
    if all(row["submission"] != new["submission"] for row in rows):
        rows.append(new)
    ordered = sorted(rows, key=lambda row: (row["submission"].split("-")[0], -_number(row.get(OWN, ""))))
    table = [columns, ["---"] * len(columns), *([row.get(column, "") for column in columns] for row in ordered)]
    lines = [*before, *("| " + " | ".join(row) + " |" for row in table), *after]
    write_text(folder / FILE, "\n".join(lines) + "\n")


def read(folder: Path) -> tuple[list[str], list[str], list[Row], list[str]]:
    """Returns the lines before the table, its columns, its rows by column, and the lines after it.

    Raises:
        DataError: the file is not UTF-8.
    """
    path = folder / FILE
    if not path.is_file():
        return [*TITLE.split("\n"), ""], [*COLUMNS], [], []
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: expected UTF-8, got byte {error.object[error.start]:#04x}") from None
    start = next((number for number, line in enumerate(lines) if _cells(line)[:1] == ["submission"]), None)
    if start is None:
        return [*lines, ""], [*COLUMNS], [], []
    stop = next((number for number in range(start, len(lines)) if not _cells(lines[number])), len(lines))
    header = _cells(lines[start])
    rows = [dict(zip(header, _cells(line), strict=False)) for line in lines[start + 2 : stop]]
    columns = [*COLUMNS, *(name for name in header if name not in COLUMNS)]  # an older table may lack a metric
    return lines[:start], columns, rows, lines[stop:]


def _cells(line: str) -> list[str]:
    """Returns the cells of a table's line, none of another line."""
    if not line.lstrip().startswith("|"):
        return []
    return [cell.strip() for cell in CELL.split(line.strip().removeprefix("|").removesuffix("|"))]


def _row(manifest: dict[str, Any]) -> Row:
    test = manifest["test"]
    scores = [_percent(test[metric]["f1"]) if test else "" for metric in METRICS]
    own = _percent(manifest["out_of_fold"][manifest["final"]]["span"]["f1"])
    command = "`" + _one_line(manifest["command"]).replace("|", "\\|") + "`"
    cells = (manifest["name"], own, *scores, manifest["date"], manifest["commit"], command)
    return dict(zip(COLUMNS, cells, strict=True))


def _one_line(command: str) -> str:
    """Returns the command with line ends inside its words as a shell writes them: $'a\\nb'."""
    if not {"\n", "\r"} & set(command):
        return command
    return " ".join(_word(word) for word in shlex.split(command))


def _word(word: str) -> str:
    if not {"\n", "\r"} & set(word):
        return shlex.quote(word)
    for character, written in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r")):
        word = word.replace(character, written)
    return f"$'{word}'"


def _number(cell: str) -> float:
    """Parses a cell; 0 if it is no number, since rows may be written by hand."""
    return float(cell) if re.fullmatch(r"\d+(\.\d+)?", cell) else 0.0


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"
