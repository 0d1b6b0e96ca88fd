"""The plot of the growth table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.harness import Row


def draw(path: Path, by_size: list[Row], by_length: list[Row], by_types: list[Row]) -> None:
    """CPU time above, memory below: against corpus size, line length, number of types. Needs matplotlib."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7), layout="constrained")
    prepare = ["prepare, CPU s"], ["prepare, peak MB", "pretrain, peak MB"]
    training = ["CPU µs a token"], ["peak MB"]
    _column(axes[:, 0], by_size, "corpus, M tokens", *prepare)
    _column(axes[:, 1], by_length, "line", *training)
    _column(axes[:, 2], by_types, "types", *training)
    axes[0, 0].set_title("prepare (and pretrain's memory)")
    axes[0, 1].set_title("tagger, lines of N tokens")
    axes[0, 2].set_title("tagger, N types")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _column(axes: Any, rows: list[Row], against: str, time: list[str], memory: list[str]) -> None:
    for axis, names, label in ((axes[0], time, "CPU time"), (axes[1], memory, "MB")):
        for name in names:
            axis.plot([row[against] for row in rows], [row[name] for row in rows], marker="o", label=name)
        axis.set_xlabel(against)
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.15 * max(row[name] for row in rows for name in names))
        axis.legend()
