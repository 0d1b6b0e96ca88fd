"""The command `reproduce`."""

from __future__ import annotations

from typing import Annotated

import typer

from daguan.cli.options import Json, print_json
from daguan.core.quantity import quantity

ClaimName = Annotated[
    str,
    typer.Argument(
        default_factory=str, metavar="[CLAIM]", help="convex-hull, delaunay, tsp or a listed claim.", show_default=False
    ),
]
ClaimWords = Annotated[
    list[str], typer.Argument(default_factory=list, metavar="[key=value …]", hidden=True, show_default=False)
]


def main(
    claim: ClaimName,
    words: ClaimWords,
    show_settings: Annotated[
        bool, typer.Option("--settings", help="Print the claim's settings; train nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Reproduce a claim of a paper, beside its figures.

    Without a CLAIM all claims are listed. convex-hull, delaunay and tsp train a pointer network on
    instances made on the fly for `minutes` of wall-clock time and measure it on held-out ones (Vinyals et al. 2015,
    arXiv 1506.03134). Other claims train all sides with several seeds, give a verdict by the rule of
    experiments/claims/verdict.py, and have settings of their own. The same command continues an interrupted
    run, and shows a finished one.
    """
    from daguan.core.errors import ConfigError
    from daguan.experiments.claims.table import CLAIMS
    from daguan.experiments.geometry.tasks import TASKS

    if not claim:
        _list_claims(as_json)
    elif show_settings and claim in (*TASKS, *CLAIMS):
        _show_settings(claim, as_json)
    elif claim in TASKS:
        _reproduce_task(claim, words, as_json)
    elif claim in CLAIMS:
        _reproduce_claim(claim, words, as_json)
    else:
        raise ConfigError(f"reproduce: expected {' or '.join([*TASKS, *CLAIMS])}, got {claim!r}")


def _list_claims(as_json: bool) -> None:
    from daguan.cli.tables.claims import claim_list, print_claims

    if as_json:
        print_json(claim_list())
    else:
        print_claims()


def _show_settings(claim: str, as_json: bool) -> None:
    from daguan.cli.tables.claims import claim_list, print_settings

    if as_json:
        print_json(next(one for one in claim_list() if one["claim"] == claim))
    else:
        print_settings(claim)


def _reproduce_claim(name: str, words: list[str], as_json: bool) -> None:
    from daguan.cli.tables.claims import draw, print_outcome
    from daguan.experiments.claims import running

    outcome = running.run_claim(name, running.load(name, words))
    plot = draw(outcome)
    if as_json:
        print_json({**running.record(outcome), "plot": str(plot)})
    else:
        print_outcome(outcome, plot)


def _reproduce_task(task: str, words: list[str], as_json: bool) -> None:
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
        tested = {"tested": chosen.tested} if chosen.tested else {}
        print_json({"task": task, "n": chosen.n, **tested, **measured, "beam": chosen.beam, **facts})
        return
    print_measured(task, chosen.tested_points, measured)
    print(
        f"{quantity(facts['updates'], 'update')} on {quantity(facts['instances'], 'instance')} in "
        f"{facts['seconds']:,.0f} s ({facts['cpu_seconds']:,.0f} CPU s); beam search of width {chosen.beam} on "
        f"{quantity(chosen.held_out, 'held-out instance')}; {plot}",
        flush=True,
    )
