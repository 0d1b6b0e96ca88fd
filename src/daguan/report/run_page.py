"""The page of a finished run: its members and their blend, and every line that they label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from daguan.core.files import real_path
from daguan.data.contest import CORPUS, TEST, TRAIN
from daguan.formats.code_book import CodeBook
from daguan.pipeline.budget.plan import played
from daguan.pipeline.score import own_scores
from daguan.pipeline.stages import Stages
from daguan.report.findings import Findings
from daguan.report.history import curves_section, making_section
from daguan.report.jobs import jobs, trained
from daguan.report.kinds import NAMES
from daguan.report.leaderboard_section import leaderboard_section
from daguan.report.page import Card, Page
from daguan.report.sections import data_section, errors_section
from daguan.report.tables import count, percent, points

EXPLORER = {
    "id": "explorer",
    "title": "Lines",
    "text": "Every line as gold, the blend and every member label it. Training lines are out of fold.",
    "parts": [],
}


def run_page(stages: Stages, words: Sequence[str], findings: Findings, with_text: bool) -> Page:
    """Returns the report of a finished run.

    words: of the command line that names its configuration; with_text: whether the page holds the text that numbers of
    an imported contest stand for. Raises CheckpointError: the run is not finished.
    """
    scores = own_scores(stages) | ({"test": findings.test} if findings.test else {})
    data, runs, budget = page_data(stages, findings, with_text), trained(stages), played([*words])
    of_jobs = jobs(runs)
    return Page(
        title=f"{real_path(stages.contest.folder).name}: {stages.settings.name}",
        subtitle=f"The members, their blend, and every line that they label. Commit {stages.answered()['commit']}.",
        cards=[*_cards(stages, findings, scores)],
        sections=[
            leaderboard_section(stages, findings, scores, of_jobs, budget),
            errors_section(findings, scores),
            EXPLORER,
            data_section(stages, findings, scores, data["files"]["train"]),
            curves_section(runs),
            making_section(stages, words, scores, of_jobs, budget),
        ],
        data=data,
    )


def page_data(stages: Stages, findings: Findings, with_text: bool) -> dict[str, Any]:
    """Returns what the explorer reads."""
    lines = stages.train_file
    names = {"train": TRAIN if lines == stages.contest.train else str(lines), "test": TEST, "corpus": CORPUS}
    data: dict[str, Any] = {
        "key": findings.run.key,
        "lines": findings.lines,
        "strings": findings.strings,
        "tokens": findings.tokens,
    }
    data |= {"kinds": [*NAMES], "files": names}
    if with_text and CodeBook.is_in(stages.contest):
        text = {number: token for token, number in CodeBook.load(stages.contest).tokens.items()}
        data["texts"] = [text.get(token) for token in findings.tokens]
    return data


def _cards(stages: Stages, findings: Findings, scores: dict[str, Any]) -> Iterator[Card]:
    final = scores["final"]
    yield _scored("Span F1 out of fold", scores["out_of_fold"][final]["span"])
    if "test" in scores:
        yield _scored("Span F1 on test", scores["test"][final]["span"])
    if moved := findings.shift:
        note = f"{points(moved['expected'] - moved['f1'])} by the shift of the lines"
        yield Card("Expected on test", percent(moved["expected"]), note)
    ece = scores["calibration"][final]["total"]["ece"]
    yield Card("Calibration error", percent(ece), "of entity probabilities, in percent")
    report = stages.prepare.manifest()["report"]
    note = f"test {report['test']['lines']:,}, corpus {report['corpus']['lines']:,} in all"
    yield Card("Training lines", count(findings.lines["train"]), note)
    seconds = sum(run.manifest()["seconds"] for run in stages.members)
    yield Card("Members", str(len(stages.members)), f"trained in {seconds / 60:,.1f} min")


def _scored(name: str, span: dict[str, Any]) -> Card:
    low, high = span["interval"]
    return Card(name, percent(span["f1"]), f"95 %: {percent(low)}–{percent(high)}")
