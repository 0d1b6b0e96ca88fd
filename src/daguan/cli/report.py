"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json

Output = Annotated[
    Path | None,
    typer.Option("--output", help="The file to write; else report.html in the report's folder.", show_default=False),
]
WithText = Annotated[
    bool, typer.Option("--with-text", help="Store the text of an imported contest in the page; else it shows numbers.")
]


def main(
    words: Words,
    output: Output = None,
    with_text: WithText = False,
    accept_code: AcceptCode = False,
    as_json: Json = False,
) -> None:
    """Write a finished run as one page that needs no network.

    It has scores, errors, data, curves, and every line with all its labels.

    The page is one file of HTML, which opens without a network. It lists members and submissions, divides the errors,
    ranks suspected label errors, and has an explorer of all lines, in which corrections are marked and exported. What
    takes long is computed once and kept in work/report-KEY.
    """
    from dataclasses import asdict

    from daguan.core.files import write_text
    from daguan.core.progress import say
    from daguan.pipeline.budget.plan import load
    from daguan.pipeline.stages import Stages
    from daguan.report.findings import find
    from daguan.report.lines import counts
    from daguan.report.page import page

    given = configuration(words, accept_code)
    stages = Stages(load(given))
    findings = find(stages)
    path = output or findings.run.path / "report.html"
    text = page(stages, given, findings, with_text)
    write_text(path, text)
    if as_json:
        counted = {
            name: {"train": asdict(one.train), "test": asdict(one.test)} for name, one in counts(findings.lines).items()
        }
        print_json({"report": str(path), "bytes": len(text.encode()), "counts": counted})
    else:
        say(f"report: {path} ({len(text.encode()) / 1e6:.1f} MB)")
