"""Scores as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daguan.families.family import family_of


def print_scores(title: str, scores: dict[str, dict[str, Any]]) -> None:
    """One row a member and reading; P, R, F1 in percent with the 95 % bootstrap interval of F1."""
    rows = [_row(name, reading, found) for name, found in scores.items() for reading in ("span", "contest")]
    print_table((title, "metric", "P", "R", "F1", "95 % interval"), rows)


def print_gains(gains: dict[str, dict[str, Any]]) -> None:
    """One row for each that the blend is compared with: the gain in points of span F1 on out-of-fold lines, its 95 %
    paired bootstrap interval, and the p-value of there being none."""
    rows = [
        (name, f"{100 * gain['f1']:+.2f}", "{:+.2f} to {:+.2f}".format(*(100 * end for end in gain["interval"])),
         f"{gain['p']:.4f}")
        for name, gain in gains.items()
    ]  # fmt: skip
    if rows:
        print_table(("the blend's gain over", "span F1", "95 % interval", "p"), rows)


def no_better(scores: dict[str, dict[str, Any]], final: str, families: dict[str, str]) -> list[str]:
    """What to say where the final answer does not beat its best member, or an n-gram CRF among them, out of fold.
    families: of the members."""
    f1 = {name: found["span"]["f1"] for name, found in scores.items()}
    others = {name: family for name, family in families.items() if name != final}
    best = max(others, key=lambda name: f1[name], default=final)
    watched = {
        best: "its best member",
        **{name: "the n-gram CRF" for name in others if family_of(others[name]).is_baseline},
    }
    return [
        f"no better than {name}, {what}, out of fold: span F1 {100 * f1[final]:.2f} against {100 * f1[name]:.2f}"
        for name, what in watched.items()
        if name != final and f1[final] <= f1[name]
    ]


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
