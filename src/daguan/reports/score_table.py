"""Scores as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def print_scores(title: str, scores: dict[str, dict[str, Any]]) -> None:
    """One row a member and reading; P, R, F1 in percent with the 95 % bootstrap interval of F1."""
    rows = [_row(name, reading, found) for name, found in scores.items() for reading in ("span", "contest")]
    print_table((title, "metric", "P", "R", "F1", "95 % interval"), rows)


def print_types(scores: dict[str, Any]) -> None:
    """One row a reading and type."""
    rows = [
        (label, reading, *_ratios(found), f"{found['hits']:,} of {found['gold']:,}")
        for reading, by_type in scores["by_type"].items()
        for label, found in by_type.items()
    ]
    print_table(("type", "metric", "P", "R", "F1", "found"), rows)


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as needed; all but the first two right-aligned."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())
    print(flush=True)


def _row(name: str, reading: str, scores: dict[str, Any]) -> tuple[str, ...]:
    low, high = scores[reading]["interval"]
    return (name, reading, *_ratios(scores[reading]), f"{100 * low:.2f}–{100 * high:.2f}")


def _ratios(score: dict[str, Any]) -> tuple[str, str, str]:
    return (f"{100 * score['p']:.2f}", f"{100 * score['r']:.2f}", f"{100 * score['f1']:.2f}")
