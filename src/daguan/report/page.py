"""The page of a report: one file of HTML with its data, style, script and plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from daguan import __version__
from daguan.data.contest import CORPUS, TEST, TRAIN
from daguan.formats.code_book import CodeBook
from daguan.pipeline.score import final_scores
from daguan.pipeline.stages import Stages
from daguan.report.findings import Findings
from daguan.report.history import curves_section, making_section
from daguan.report.kinds import NAMES
from daguan.report.page_json import page_json
from daguan.report.sections import data_section, errors_section, leaderboard_section
from daguan.report.tables import count, percent, points

EXPLORER = {
    "id": "explorer",
    "title": "Lines",
    "text": "Every line as gold, the blend and every member label it. Training lines are out of fold.",
    "parts": [],
}


def page(stages: Stages, words: Sequence[str], findings: Findings, with_text: bool) -> str:
    """Returns the report of a finished run as HTML.

    words: of the command line that names its configuration; with_text: whether the page holds the text that numbers of
    an imported contest stand for. Raises CheckpointError: the run is not finished.
    """
    scores, data = final_scores(stages), page_data(stages, findings, with_text)
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        _file("page.html.j2")
    )
    return template.render(
        title=f"{stages.contest.folder.resolve().name}: {stages.settings.name}",
        subtitle=f"The members, their blend, and every line that they label. Commit {stages.answered()['commit']}.",
        cards=[*_cards(stages, findings, scores)],
        sections=[
            leaderboard_section(stages, findings, scores),
            errors_section(findings, scores),
            EXPLORER,
            data_section(stages, findings, scores, data["files"]["train"]),
            curves_section(stages),
            making_section(stages, words, scores),
        ],
        style=_file("page.css"),
        script=_file("page.js"),
        data=page_json(data),
        version=__version__,
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


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


def _cards(stages: Stages, findings: Findings, scores: dict[str, Any]) -> Iterator[dict[str, str]]:
    final = scores["final"]
    own = scores["out_of_fold"][final]
    low, high = own["span"]["interval"]
    yield {
        "name": "Span F1 out of fold",
        "value": percent(own["span"]["f1"]),
        "note": f"95 %: {percent(low)}–{percent(high)}",
    }
    if "test" in scores:
        test = scores["test"][final]["span"]
        low, high = test["interval"]
        yield {"name": "Span F1 on test", "value": percent(test["f1"]), "note": f"95 %: {percent(low)}–{percent(high)}"}
    if moved := findings.shift:
        note = f"{points(moved['expected'] - moved['f1'])} by the shift of the lines"
        yield {"name": "Expected on test", "value": percent(moved["expected"]), "note": note}
    yield {
        "name": "Calibration error",
        "value": percent(scores["calibration"][final]["total"]["ece"]),
        "note": "of entity probabilities, in percent",
    }
    report = stages.prepare.manifest()["report"]
    members = len(stages.members)
    note = f"test {report['test']['lines']:,}, corpus {report['corpus']['lines']:,} in all"
    yield {"name": "Training lines", "value": count(findings.lines["train"]), "note": note}
    seconds = sum(run.manifest()["seconds"] for run in stages.members)
    yield {"name": "Members", "value": str(members), "note": f"trained in {seconds / 60:,.1f} min"}
