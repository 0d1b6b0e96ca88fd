"""The sections of a page on how the run came about: curves, commands, versions, seconds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from pandas import DataFrame

from daguan.core.runs import environment
from daguan.pipeline.budget.plan import used
from daguan.pipeline.stages import Stages
from daguan.report import plots
from daguan.report.curves import curves
from daguan.report.tables import Column, table, tenth


def curves_section(stages: Stages) -> dict[str, Any]:
    """Returns loss, held-out F1 and learning rate of all runs, on what they have read and on seconds."""
    found = curves(stages)
    names = {"tok": "tokens", "it": "iterations"}
    drawn = []
    for (stage, unit), rows in found.groupby(["stage", "unit"], sort=False):
        for column, title in (("loss", "loss"), ("f1", "held-out span F1, %"), ("rate", "learning rate")):
            known = rows.dropna(subset=[column]).copy()
            if known.empty:
                continue
            if column == "f1":
                known["f1"] = 100 * known["f1"].astype(float)
            known[column] = known[column].astype(float)
            known["hint"] = [
                f"{row.job}: {title} {value:.4g}, {row.done:,} {names.get(unit, unit)}, {row.seconds:,.0f} s"
                for row, value in zip(known.itertuples(), known[column], strict=True)
            ]
            for across, by in (("done", names.get(unit, unit)), ("seconds", "seconds")):
                chart = plots.curves(known, across, column, (by, title))
                drawn.append((f"{stage}: {title} by {by}", plots.svg(chart)))
    return {
        "id": "curves",
        "title": "Curves",
        "text": "From the events beside the runs. Each colour is a run, each dash one of its jobs."
        if drawn
        else "No events.",
        "parts": [{"plots": drawn}],
    }


def making_section(stages: Stages, words: Sequence[str], scores: dict[str, Any]) -> dict[str, Any]:
    """Returns commands, versions, the budget, and the seconds of each run. `words` are of the command line."""
    manifest, named = stages.answered(), shlex.join(words)
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    plan = used([*words]) or "no budget was set"
    runs = [("prepare", stages.prepare), *((run.path.name, run) for run in stages.members), ("blend", stages.answer)]
    seconds = [
        {"run": name, "seconds": run.manifest()["seconds"], "commit": run.manifest()["commit"]} for name, run in runs
    ]
    facts = [
        ("model", scores["model"]),
        ("submission", scores["submission"]),
        ("commit", f"{manifest['commit']} (the blend), {environment()['commit']} (this report)"),
        ("Python", f"{manifest['python']} on {manifest['machine']}"),
        ("packages", versions),
        ("budget", plan),
        ("seed", str(stages.settings.seed)),
        ("folds", f"{stages.prepared.folds}"),
        *((f"SHA-256 of {name}", value) for name, value in stages.data_sha256.items()),
    ]
    commands = f"daguan run {named}\ndaguan score {named}\ndaguan report {named}".replace("  ", " ")
    columns = [Column("run", "run"), Column("seconds", "seconds", tenth), Column("commit", "commit")]
    return {
        "id": "making",
        "title": "How it was made",
        "text": "",
        "parts": [
            {"title": "Commands", "code": commands},
            {"title": "Facts", "facts": facts},
            table("Seconds", DataFrame(seconds), columns),
        ],
    }
