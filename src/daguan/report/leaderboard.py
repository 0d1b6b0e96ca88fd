"""The leaderboard: every member, the mean and the blend, and every submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame

from daguan.api import frames
from daguan.competition import submissions_table
from daguan.competition.public_scores import read_scores
from daguan.core.types import Sentence, Span
from daguan.data.span_score import span_score
from daguan.ensemble import blending
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.combination import OutOfFoldData
from daguan.families.fold import MODEL
from daguan.pipeline.stages import Stages
from daguan.report.tracks import Labelled

MOST_BLENDED = 60e6  # tokens of train times squared members; up to it the blend itself is fitted without each member
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


def worth(stages: Stages, found: Labelled) -> dict[str, Any]:
    """Returns for each member the out-of-fold span F1 that the blend loses without it, and how that was found.

    The blend is fitted again without the member; the plain means of members are compared where that would take minutes.
    """
    names = found.members
    if len(names) < 2:
        return {"how": "", "without": {}}
    manifest = stages.answered()
    work = len(names) ** 2 * sum(len(line.tokens) for line in found.train)
    blended = manifest["method"] != blending.MEAN and work <= MOST_BLENDED
    method = manifest["method"] if blended else blending.MEAN
    gold = [Sentence(line.tokens, spans) for line, spans in zip(found.train, found.gold.train, strict=True)]

    def f1(members: Sequence[int]) -> float:
        data = stages.prepared.blend_data(stages.settings.blend)
        data = replace(data, marginals=[found.marginals[number] for number in members])
        how = method if len(members) > 1 or blended else blending.MEAN
        return span_score(_lines(gold, _spans(data, how)), gold).f1

    whole = manifest["out_of_fold"][found.final.name if blended else blending.MEAN]["span"]["f1"]
    everyone = range(len(names))
    without = {names[out]: whole - f1([number for number in everyone if number != out]) for out in everyone}
    return {"how": method, "without": without}


def _spans(data: OutOfFoldData, method: str) -> list[tuple[Span, ...]]:
    return blending.nested_spans(METHODS[method].load().learner(data), data)


def _lines(lines: Sequence[Sentence], spans: Sequence[tuple[Span, ...]]) -> list[Sentence]:
    return [Sentence(line.tokens, of_line) for line, of_line in zip(lines, spans, strict=True)]


def submissions(folder: Path) -> DataFrame:
    """Returns a row for each submission that was written, with its public score where one was recorded."""
    _, columns, rows, _ = submissions_table.read(folder)
    scores = read_scores(folder)
    table = DataFrame([[row.get(name, "") for name in columns] for row in rows], columns=columns)
    table["command"] = [cell.strip("`").replace("\\|", "|") for cell in table["command"]]  # it was Markdown
    table.insert(1, "public score", [scores.get(name) for name in table["submission"]])
    return table
