"""A student beside its teachers as a table for a terminal."""

from __future__ import annotations

from typing import Any

from daguan.cli.tables.text import print_table

HEADER = ("", "run", "held-out F1", "95 % interval", "test F1", "lines/s", "models", "MB")


def print_students(sides: dict[str, dict[str, Any]], gains: dict[str, dict[str, Any]]) -> None:
    """Print one row for each of student and teachers: span F1 on fold 0's held-out lines with its 95 % bootstrap
    interval, then the span F1 on the test lines, the speed and the size of what would be shipped. Below are the
    student's paired gains on the held-out lines."""
    print_table(HEADER, [_row(name, side) for name, side in sides.items()])
    for name, gain in gains.items():
        low, high = (f"{100 * end:+.2f}" for end in gain["interval"])
        print(f"student over {name}: {100 * gain['f1']:+.2f} ({low} to {high}), p {gain['p']:.4f}")


def _row(name: str, side: dict[str, Any]) -> tuple[str, ...]:
    low, high = side["held_out"]["interval"]
    test = f"{100 * side['test']['f1']:.2f}" if "test" in side else ""
    shipped = ("", "", "")
    if "models" in side:
        shipped = (f"{side['lines_per_second']:,.0f}", str(side["models"]), f"{side['megabytes']:,.1f}")
    held_out = (f"{100 * side['held_out']['f1']:.2f}", f"{100 * low:.2f}–{100 * high:.2f}")
    return (name, side["run"], *held_out, test, *shipped)
