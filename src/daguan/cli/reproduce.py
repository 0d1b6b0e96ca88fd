"""The command `reproduce`."""

from __future__ import annotations

from typing import Annotated

import typer

from daguan.cli.options import Json, print_json

TaskWords = Annotated[
    list[str], typer.Argument(default_factory=list, metavar="[key=value …]", hidden=True, show_default=False)
]


def main(
    task: Annotated[str, typer.Argument(metavar="TASK", help="convex-hull, delaunay or tsp.")],
    words: TaskWords,
    as_json: Json = False,
) -> None:
    """Train a pointer network on geometry, compared to the paper.

    The network is trained on instances made on the fly for `minutes` of wall-clock time and measured on held-out
    instances (Vinyals et al. 2015, arXiv 1506.03134). The same command continues an interrupted run, and measures a
    finished one.
    """
    from daguan.cli.tables.geometry import print_measured
    from daguan.core.files import write_text
    from daguan.experiments import reproduction
    from daguan.experiments.geometry.tasks import TASKS
    from daguan.report.polygons import drawing

    chosen = reproduction.load(task, words)
    run = reproduction.make(task, chosen)
    measured, (points, answered, targets) = reproduction.measure(run, task, chosen)
    plot = run.path / "predictions.svg"
    write_text(plot, drawing(points, answered, targets, TASKS[task].polygon))
    facts = {name: run.manifest()[name] for name in ("updates", "instances", "seconds", "cpu_seconds")}
    if as_json:
        print_json({"task": task, "n": chosen.n, **measured, "beam": chosen.beam, **facts})
        return
    print_measured(task, chosen.n, measured)
    print(
        f"{facts['updates']:,} updates on {facts['instances']:,} instances in {facts['seconds']:,.0f} s "
        f"({facts['cpu_seconds']:,.0f} CPU s); beam search of width {chosen.beam} on {chosen.held_out:,} held-out "
        f"instances; {plot}",
        flush=True,
    )
