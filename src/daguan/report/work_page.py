"""The page of a work folder: all its runs, blends, submissions, studies and budgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from daguan.api import frames
from daguan.core.files import read_json
from daguan.core.quantity import quantity
from daguan.core.runs import MANIFEST, environment, is_current
from daguan.pipeline.budget.plan import STATE
from daguan.pipeline.ledger import Entry, read_ledger
from daguan.pipeline.tune import TRIALS
from daguan.report.history import curves_section, machine_facts
from daguan.report.jobs import with_starts
from daguan.report.leaderboard import public_scores
from daguan.report.leaderboard_section import submissions_table
from daguan.report.page import Card, Page
from daguan.report.tables import Column, count, percent, table, tenth, thousandth

MOST_CURVES = 8  # runs whose curves are drawn, as colours tell that many apart


def work_page(work: Path, submissions: Path) -> Page:
    """Returns the report of all that is finished in a work folder, and of the submissions."""
    entries, blends = read_ledger(work), [*_manifests(work, "blend")]
    hours = sum(entry.seconds for entry in entries) / 3600
    cards = [
        Card("Trained runs", count(len(entries)), f"{hours:,.1f} hours of training"),
        Card("Blends", count(len(blends))),
        Card("Submissions", count(len(_named(submissions)))),
        Card("Studies", count(len([*work.glob(f"tune-*/{TRIALS}")]))),
    ]
    latest = sorted(entries, key=lambda entry: -(work / entry.run / MANIFEST).stat().st_mtime)[:MOST_CURVES]
    curves = curves_section(with_starts([work / entry.run for entry in latest]))
    if len(latest) < len(entries):
        curves["text"] += f" These are the {len(latest)} latest of {quantity(len(entries), 'run')}."
    return Page(
        title=f"Work in {work}",
        subtitle="Everything that is finished: runs, what they were blended to, and what was submitted.",
        cards=cards,
        sections=[_blends(blends, submissions), _runs(entries), _searches(work), curves, _making()],
    )


def _named(submissions: Path) -> list[Path]:
    return [path for path in submissions.glob("*.txt") if path.with_suffix(".json").is_file()]


def _manifests(work: Path, stage: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yields the folders of a stage's finished runs of this version, with their manifests."""
    for path in sorted(work.glob(f"{stage}-*/{MANIFEST}")):
        if is_current(manifest := read_json(path)):
            yield path.parent, manifest


def _blends(found: Sequence[tuple[Path, dict[str, Any]]], submissions: Path) -> dict[str, Any]:
    answers = {folder.name: folder / f"{manifest['final']}.txt" for folder, manifest in found}
    public, rows = public_scores(submissions, answers), []
    for folder, manifest in found:
        final, members = manifest["final"], manifest["depends_on"]["members"]
        span, (low, high) = manifest["out_of_fold"][final]["span"], manifest["out_of_fold"][final]["span"]["interval"]
        rows.append(
            {
                "blend": folder.name,
                "method": manifest["method"],
                "members": len(members),
                "f1": span["f1"],
                "low": low,
                "high": high,
                "public": public.get(folder.name),
                "seconds": manifest["seconds"],
                "commit": manifest["commit"],
                "of": ", ".join(members),
            }
        )
    names = ("blend", "method", "members", "f1", "low", "high", "public", "seconds", "commit", "of")
    frame = DataFrame(rows, columns=names).sort_values("f1", ascending=False, kind="stable")
    columns = [
        Column("blend", "blend"), Column("method", "method"), Column("members", "members", count),
        Column("f1", "F1", percent, "strict span F1 out of fold, in percent"),
        Column("low", "95 %", percent, "bootstrap interval over lines", ("low", "high")),
        Column("public", "public score", thousandth, "of the submission with this answer, by `plan record`"),
        Column("seconds", "seconds", tenth), Column("commit", "commit"), Column("of", "of", wide=True),
    ]  # fmt: skip
    return {
        "id": "blends",
        "title": "Blends and submissions",
        "text": "Scores of different contests, folds or lines do not compare.",
        "parts": [table("Blends", frame, columns), submissions_table(submissions, "")],
    }


def _runs(entries: Sequence[Entry]) -> dict[str, Any]:
    columns = [
        Column("run", "run"), Column("lines", "lines", None, "runs with the same key may be blended together"),
        Column("family", "family"), Column("encoder", "encoder"), Column("head", "head"), Column("seed", "seed", str),
        Column("folds", "folds", count), Column("f1", "F1", percent, "strict span F1 out of fold, in percent"),
        Column("seconds", "seconds", tenth),
    ]  # fmt: skip
    return {"id": "runs", "title": "Runs", "text": "", "parts": [table("Trained runs", frames.runs(entries), columns)]}


def _searches(work: Path) -> dict[str, Any]:
    studies, budgets = [], []
    for path in sorted(work.glob(f"tune-*/{TRIALS}")):
        found = read_json(path)
        best = next((one for one in found["trials"] if one["index"] == found["best"]), None)
        f1 = best["outcome"]["f1"] if best else None
        other = found["f1_on_other_folds"]
        studies.append({"study": path.parent.name, "trials": len(found["trials"]), "f1": f1, "other": other})
    for folder, manifest in _manifests(work, "budget"):
        state = read_json(folder / STATE)
        f1 = state["f1"] if state["f1"] >= 0 else None
        row = {"budget": folder.name, "minutes": manifest["minutes"], "used": manifest["seconds"] / 60, "f1": f1}
        budgets.append({**row, "members": ", ".join(state["submitted"]), "dropped": ", ".join(state["dropped"])})
    of_studies = [
        Column("study", "study"), Column("trials", "trials", count),
        Column("f1", "best F1", percent, "the best of many on the same lines"),
        Column("other", "on other folds", percent, "the same trial where nothing was chosen"),
    ]  # fmt: skip
    of_budgets = [
        Column("budget", "budget"), Column("minutes", "minutes", tenth), Column("used", "used", tenth),
        Column("f1", "F1", percent), Column("members", "members", wide=True), Column("dropped", "dropped"),
    ]  # fmt: skip
    parts = [
        table("Studies", DataFrame(studies, columns=["study", "trials", "f1", "other"]), of_studies),
        table(
            "Budgets",
            DataFrame(budgets, columns=["budget", "minutes", "used", "f1", "members", "dropped"]),
            of_budgets,
        ),
    ]
    text = "" if studies or budgets else "None."
    return {"id": "searches", "title": "Studies and budgets", "text": text, "parts": parts}


def _making() -> dict[str, Any]:
    here = environment()
    facts = [("commit", f"{here['commit']} (this report)"), *machine_facts(here)]
    return {"id": "making", "title": "How it was made", "text": "", "parts": [{"title": "Facts", "facts": facts}]}
