"""Writes submissions/LEADERBOARD.md: one row a submission, the best out-of-fold score first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from daguan.core.files import write_text
from daguan.data.metrics import METRICS

FILE = "LEADERBOARD.md"
TEST = tuple(f"test {metric} F1" for metric in METRICS)
COLUMNS = ("submission", "out-of-fold span F1", *TEST, "date", "commit", "command")
TITLE = "# Submissions\n\nWritten by `python -m daguan submit`. F1 in percent; test scores where gold labels exist."


def record(folder: Path, manifest: dict[str, Any]) -> None:
    """Adds the submission's row, or replaces it."""
    rows = {row[0]: row for row in _read(folder / FILE)}
    row = _row(manifest)
    rows[row[0]] = row
    ordered = sorted(rows.values(), key=lambda row: (row[0].split("-")[0], -_number(row[1])))
    table = [COLUMNS, ("---",) * len(COLUMNS), *ordered]
    write_text(folder / FILE, "\n".join([TITLE, "", *("| " + " | ".join(row) + " |" for row in table)]) + "\n")


def _row(manifest: dict[str, Any]) -> tuple[str, ...]:
    test = manifest["test"]
    scores = [_percent(test[metric]["f1"]) if test else "" for metric in METRICS]
    own = _percent(manifest["out_of_fold"][manifest["final"]]["span"]["f1"])
    command = "`" + manifest["command"].replace("|", "\\|") + "`"
    return (manifest["name"], own, *scores, manifest["date"], manifest["commit"], command)


def _number(cell: str) -> float:
    """Parses a cell; 0 if it is no number, since rows may be written by hand."""
    return float(cell) if re.fullmatch(r"\d+(\.\d+)?", cell) else 0.0


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _read(path: Path) -> list[tuple[str, ...]]:
    if not path.is_file():
        return []
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    by_column = [dict(zip(rows[0], row, strict=False)) for row in rows[2:]]  # an older table may lack a metric
    return [tuple(row.get(column, "") for column in COLUMNS) for row in by_column]
