"""The leaderboard: every member, the mean and the blend, and every submission."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from daguan.api import frames
from daguan.competition import submissions_table
from daguan.competition.public_scores import read_scores
from daguan.core.files import sha256_of_file
from daguan.families.fold import MODEL
from daguan.pipeline.stages import Stages

MEGABYTE = 1e6


def models(stages: Stages, scores: Mapping[str, Any], worth: Mapping[str, Any], apart: DataFrame) -> DataFrame:
    """Returns a row for each member, the mean and the blend, best first.

    scores: of `final_scores`; worth: of `worth`; apart: of `disagreement`.
    """
    table = frames.leaderboard(stages.answer.path, stages.answered())
    test = scores.get("test", {})
    names = table["name"].tolist()
    if test:
        table["test_f1"] = [test[name]["span"]["f1"] for name in names]
        table["test_low"], table["test_high"] = zip(*(test[name]["span"]["interval"] for name in names), strict=True)
        table["test_contest_f1"] = [test[name]["contest"]["f1"] for name in names]
    by_run = {run.path.name: run for run in stages.members}
    speeds = {name: _speed(run.manifest(), stages) for name, run in by_run.items()}
    sizes = {name: _size(run.path) / MEGABYTE for name, run in by_run.items()}
    table["lines_per_second"] = [speeds.get(name) for name in names]
    table["mb"] = [sizes.get(name) for name in names]
    table["worth"] = [worth["without"].get(name) for name in names]
    ends = [worth["interval"].get(name, (None, None)) for name in names]
    table["worth_low"], table["worth_high"] = zip(*ends, strict=True)
    answers = {name: stages.answer.path / f"{name}.txt" for name in names}
    if public := public_scores(Path(stages.settings.data.submissions), answers):
        table["public"] = [public.get(name) for name in names]
    others = apart.where(apart.index.to_numpy()[:, None] != apart.columns.to_numpy()[None, :])
    table["disagreement"] = [others.loc[name].mean() if len(others) > 1 else 0.0 for name in names]
    return table


def _speed(manifest: Mapping[str, Any], stages: Stages) -> float:
    """Returns the test lines that a member's folds label in a second, one after the other."""
    speeds = [fold["test_tokens_per_second"] for fold in manifest["folds"]]
    report = stages.prepare.manifest()["report"]["test"]
    seconds = sum(report["tokens"] / max(1, speed) for speed in speeds)
    return float(report["lines"] / seconds) if seconds else 0.0


def _size(run: Path) -> int:
    """Returns the bytes of the models of all folds."""
    return sum(path.stat().st_size for path in run.glob(f"fold*/{MODEL}/**/*") if path.is_file())


def public_scores(folder: Path, answers: Mapping[str, Path]) -> dict[str, float]:
    """Returns the public scores that were recorded of answers to the test lines: a submission is an answer if its file
    is equal.

    folder: of the submissions.
    """
    recorded = {folder / f"{name}.txt": score for name, score in read_scores(folder).items()}
    scores = {sha256_of_file(path): score for path, score in recorded.items() if path.is_file()}
    hashes = {name: sha256_of_file(path) for name, path in answers.items()} if scores else {}
    return {name: scores[sha256] for name, sha256 in hashes.items() if sha256 in scores}


def submissions(folder: Path) -> DataFrame:
    """Returns a row for each submission that was written, with its public score where one was recorded."""
    _, columns, rows, _ = submissions_table.read(folder)
    scores = read_scores(folder)
    table = DataFrame([[row.get(name, "") for name in columns] for row in rows], columns=columns)
    table["command"] = [cell.strip("`").replace("\\|", "|") for cell in table["command"]]  # it was Markdown
    table.insert(1, "public score", [scores.get(name) for name in table["submission"]])
    return table
