"""The command `report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json

if TYPE_CHECKING:
    from daguan.report.page import Page

Written = tuple["Page", Path, dict[str, Any]]  # the page, the folder that it belongs to, and what --json says of it
Output = Annotated[
    Path | None,
    typer.Option("--output", help="The file to write; else report.html in the folder of its run.", show_default=False),
]
WithText = Annotated[
    bool, typer.Option("--with-text", help="Store the text of an imported contest in the page; else it shows numbers.")
]
Of = Annotated[str, typer.Option("--of", help="What it shows: run, study or work.")]


def main(
    words: Words,
    of: Of = "run",
    output: Output = None,
    with_text: WithText = False,
    accept_code: AcceptCode = False,
    as_json: Json = False,
) -> None:
    """Write a finished run, a study, or all work as one page.

    It has scores, errors, data, curves, and every line with all its labels.

    The page is one file of HTML, which opens without a network. For a run, it lists members and submissions, says what
    to do next, divides the errors, ranks suspected label errors, and has an explorer of all lines, in which corrections
    are marked and exported; `prepare` takes them. What takes long is computed once and kept in work/report-KEY. For a
    study that `tune` made, it has all trials; for the work, all runs, blends, submissions, studies and budgets there.
    """
    from daguan.core.files import write_text
    from daguan.core.progress import say
    from daguan.core.settings import require
    from daguan.report.page import FILE

    require("--of", of in PAGES, " or ".join(PAGES), of)
    found, folder, facts = PAGES[of](configuration(words, accept_code), with_text)
    path, text = output or folder / FILE, found.html()
    write_text(path, text)
    if as_json:
        print_json({"report": str(path), "bytes": len(text.encode()), **facts})
    else:
        say(f"report: {path} ({len(text.encode()) / 1e6:.1f} MB)")


def _of_run(words: list[str], with_text: bool) -> Written:
    from dataclasses import asdict

    from daguan.pipeline.budget.plan import load
    from daguan.pipeline.stages import Stages
    from daguan.report.findings import find
    from daguan.report.lines import counts
    from daguan.report.run_page import run_page

    stages = Stages(load(words))
    findings = find(stages)
    counted = {
        name: {"train": asdict(one.train), "test": asdict(one.test)} for name, one in counts(findings.lines).items()
    }
    return run_page(stages, words, findings, with_text), findings.run.path, {"counts": counted}


def _of_study(words: list[str], with_text: bool) -> Written:
    from daguan.pipeline import tune
    from daguan.pipeline.budget.plan import load
    from daguan.report.study_page import study_page

    settings = load(words)
    study, f1 = tune.finished(settings)
    trials = study.trials()
    return study_page(study, trials, words, f1), study.folder, {"trials": len(trials)}


def _of_work(words: list[str], with_text: bool) -> Written:
    from daguan.pipeline.settings import load
    from daguan.report.work_page import work_page

    data = load(words).data
    return work_page(Path(data.work), Path(data.submissions)), Path(data.work), {}


PAGES: dict[str, Callable[[list[str], bool], Written]] = {"run": _of_run, "study": _of_study, "work": _of_work}
