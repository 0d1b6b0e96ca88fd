"""The section of a page on members, blend and submissions, and on what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from daguan.core.quantity import quantity
from daguan.pipeline.budget.plan import Played
from daguan.pipeline.stages import Stages
from daguan.report import advice, leaderboard, trust
from daguan.report.findings import Findings
from daguan.report.tables import Column, Table, matrix, percent, points, table, tenth, thousandth


def leaderboard_section(
    stages: Stages, findings: Findings, scores: dict[str, Any], jobs: DataFrame, budget: Played | None
) -> dict[str, Any]:
    """Returns members, blend and submissions, how far the answers differ, and what to do next."""
    apart = findings.table("disagreement")
    models = leaderboard.models(stages, scores, findings.worth, apart)
    how = findings.worth["how"]
    worth = f"F1 that the {how} of all loses without the member, in points" if how else ""
    shown = table(
        "Members and blend",
        models,
        [
            Column("name", "name"),
            Column("f1", "F1", percent, "strict span F1 out of fold, in percent"),
            Column("f1_low", "95 %", percent, "bootstrap interval over lines", ("f1_low", "f1_high")),
            Column("worth", f"worth ({how})" if how else "worth", points, worth),
            Column("worth_low", "95 %", points, "of the worth, over lines", ("worth_low", "worth_high")),
            Column("public", "public score", thousandth, "of the submission with this answer, by `plan record`"),
            Column("test_f1", "test F1", percent, "strict span F1 on the test lines"),
            Column("test_low", "95 %", percent, "of the test F1, over lines", ("test_low", "test_high")),
            Column("seconds", "fit, s", tenth, "seconds of training, all folds"),
            Column("disagreement", "disagrees", percent, "mean of 1 − F1 against every other row, in percent"),
            Column("calibration_error", "ECE", percent, "expected calibration error of entity probabilities, percent"),
            Column("precision", "P", percent),
            Column("recall", "R", percent),
            Column("contest_f1", "contest F1", percent, "out of fold; positions and repeats do not count"),
            Column("test_contest_f1", "test contest F1", percent),
            Column("family", "family"),
            Column("lines_per_second", "lines/s", tenth, "test lines a second by all of its folds"),
            Column("mb", "MB", tenth, "of the models of all folds"),
        ],
        final=scores["final"],
    )
    parts: list[Any] = [shown, *_advice(stages, findings, models, jobs, budget)]
    parts.append(submissions_table(Path(stages.settings.data.submissions), stages.submission.stem))
    if len(apart) > 1:
        parts.append(
            matrix("Disagreement", apart, percent, "of", "1 − F1 of the answers of two, out of fold, in percent.")
        )
    return {"id": "leaderboard", "title": "Leaderboard", "text": "", "parts": parts}


def submissions_table(folder: Path, ours: str) -> Table:
    """Returns the submissions in a folder with their public scores; `ours` is emphasised."""
    sent = leaderboard.submissions(folder)
    forms = {name: Column(name, name, wide=name == "command") for name in sent.columns}
    forms["public score"] = Column("public score", "public score", thousandth, "recorded by `plan record`")
    return table("Submissions", sent, [*forms.values()], final=ours)


def _advice(stages: Stages, findings: Findings, models: DataFrame, jobs: DataFrame, budget: Played | None) -> list[Any]:
    """Returns what to do next, and how far such advice was right on the folds."""
    known = advice.reasons(stages, budget.left_out if budget else {})
    found = advice.advice(models, findings.worth, jobs, known)
    columns = [
        Column("advice", "do"), Column("member", "member"), Column("worth", "worth", points, "points of F1"),
        Column("minutes", "took, min", tenth, "all its folds, without pretraining"), Column("why", "why"),
    ]  # fmt: skip
    note = (
        f"{percent(findings.found_by_none)} % of the gold entities are given by no member: only other members, or more "
        f"training, can find these. {_unseen(findings, stages.answered()['final'])}Members with the most worth a "
        "minute come first."
    )
    return [table("What to do next", found, columns, note), *_checked(findings)]


def _unseen(findings: Findings, final: str) -> str:
    """Returns how many gold entities have a string that is no entity in the other folds, and how many are found."""
    by = findings.table("by_property")
    rows = by[(by["by"] == "seen") & (by["track"] == final)].set_index("class")
    if "unseen" not in rows.index:
        return ""
    row = rows.loc["unseen"]
    share, found = row["gold"] / max(1, rows["gold"].sum()), row["recall"]
    return (
        f"{100 * share:.0f} % have a string that is no entity in the other folds, and the blend finds "
        f"{100 * found:.0f} % of these: what helps there is text without labels, and members of more kinds. "
    )


def _checked(findings: Findings) -> list[dict[str, str]]:
    """Returns how the advice to leave a member out fares on the lines of folds that it does not know."""
    found = trust.checked(findings.worth["by_fold"])
    if found is None:
        return []
    words = (
        "How far to trust it: without the member of the least worth on all other folds, the F1 on the lines of a fold "
        f"changes by {points(found['advised'])} points on average, without a member drawn at random by "
        f"{points(found['random'])}. It was better than chance in {100 * found['better']:.0f} % of "
        f"{quantity(round(found['folds']), 'fold')}."
    )
    return [{"words": words}]
