"""The sections of a page on how the run came about: curves, commands, versions, seconds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from pandas import DataFrame

from daguan.core.runs import Run, environment
from daguan.pipeline.budget.plan import Played
from daguan.pipeline.stages import Stages
from daguan.report import plots
from daguan.report.curves import curves
from daguan.report.jobs import Trained
from daguan.report.tables import Column, Table, count, percent, table, tenth


def curves_section(runs: Sequence[Trained]) -> dict[str, Any]:
    """Returns loss, held-out F1 and learning rate of runs, on what they have read and on seconds."""
    found = curves(runs)
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


def making_section(
    stages: Stages, words: Sequence[str], scores: dict[str, Any], jobs: DataFrame, budget: Played | None
) -> dict[str, Any]:
    """Returns commands, versions, and what each job was given and took. `words` are of the command line."""
    manifest, named = stages.answered(), shlex.join(words)
    facts = [
        ("model", scores["model"]),
        ("submission", scores["submission"]),
        ("commit", f"{manifest['commit']} (the blend), {environment()['commit']} (this report)"),
        *machine_facts(manifest),
        ("budget", str(budget or "none in this configuration")),
        *(("left out by the budget", f"{name}: {why}") for name, why in (budget.left_out if budget else {}).items()),
        ("seed", str(stages.settings.seed)),
        ("folds", f"{stages.prepared.folds}"),
        *((f"SHA-256 of {name}", value) for name, value in stages.data_sha256.items()),
    ]
    commands = f"daguan run {named}\ndaguan score {named}\ndaguan report {named}".replace("  ", " ")
    return {
        "id": "making",
        "title": "How it was made",
        "text": "",
        "parts": [
            {"title": "Commands", "code": commands},
            {"title": "Facts", "facts": facts},
            jobs_table(jobs, [("prepare", stages.prepare), ("blend", stages.answer)]),
        ],
    }


def machine_facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns what a run's manifest says of its machine and packages."""
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return [("Python", f"{manifest['python']} on {manifest['machine']}"), ("packages", versions)]


def jobs_table(jobs: DataFrame, others: Sequence[tuple[str, Run]]) -> Table:
    """Returns what each job was given and took, and the seconds of other stages by their names."""
    stages = [
        {"run": run.path.name, "stage": name, "seconds": run.manifest()["seconds"], "commit": run.manifest()["commit"]}
        for name, run in others
    ]
    rows = [row._asdict() | {"share": _share(row)} for row in jobs.itertuples(index=False)]
    frame = DataFrame([*rows, *stages], columns=[*jobs.columns, "share"])
    planned = bool(frame["planned"].notna().any())
    plan = Column("planned", "planned, s", tenth, "seconds of training that the budget gave to the job")
    columns = [
        Column("run", "run"), Column("stage", "stage"), Column("job", "job"), *([plan] if planned else []),
        Column("seconds", "took, s", tenth, "seconds of training"),
        *([Column("share", "took / planned, %", percent)] if planned else []),
        Column("updates", "updates", count), Column("most_updates", "asked for", count, "updates by its settings"),
        Column("f1", "F1", percent, "span F1 on the lines that the fold holds out"), Column("commit", "commit"),
    ]  # fmt: skip
    note = (
        "A budget gives a job its seconds when the job begins; what one leaves over goes to those after it."
        if planned
        else ""
    )
    return table("Budget: planned and used" if planned else "Seconds of each job", frame, columns, note)


def _share(row: Any) -> float | None:
    return float(row.seconds / row.planned) if row.planned and row.planned == row.planned else None
