"""What a report says of a finished run, computed once: the run `report-KEY` holds it as findings.json."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from pandas import DataFrame

from daguan.core.files import read_json, sha256_of_file
from daguan.core.progress import say
from daguan.core.runs import Run, run_of
from daguan.core.tables import Row
from daguan.pipeline.stages import Stages, once

FILE = "findings.json"
CODE = [Row("daguan.report.investigation:investigate")]


class Findings(NamedTuple):
    """The findings of a report.

    Attributes:
        run: where they are.
        lines, strings: the columns of the explorer.
        tokens: the text of its token ids.
        tables: by name, as `frame_of` reads them.
        shift: from train to test; None where that is not known.
        worth: how the worth of each member was found, and the worth.
        found_by_none: the share of gold entities that no member gives, out of fold.
        test: the scores of each row of the blend on the test lines; empty where these have no gold labels.
    """

    run: Run
    lines: dict[str, Any]
    strings: dict[str, Any]
    tokens: list[str]
    tables: dict[str, Any]
    shift: dict[str, float] | None
    worth: dict[str, Any]
    found_by_none: float
    test: dict[str, Any]

    def table(self, name: str) -> DataFrame:
        """Returns a table of the findings."""
        return DataFrame(self.tables[name]["rows"], self.tables[name]["index"], self.tables[name]["columns"])


def run_of_report(stages: Stages) -> Run:
    """Returns the run that holds the findings. Raises CheckpointError: the blend is not finished."""
    stages.answered()
    gold = stages.contest.test_gold
    facts = {"answer": stages.answer.path.name, "data": stages.data_sha256}
    facts |= {"test_gold": sha256_of_file(gold)} if gold.is_file() else {}
    return run_of(stages.work, "report", facts, CODE)


def find(stages: Stages) -> Findings:
    """Returns the findings of a finished run, which are computed once. Raises CheckpointError: it is not finished."""
    run = run_of_report(stages)
    if not run.finished:
        from daguan.report.investigation import investigate  # with torch and scikit-learn, which a page does not need

        say(f"report: compares what gold, members and blend say of every line ({run.path})")
        once(run, partial(investigate, stages=stages, file=FILE), wait=True)
    return Findings(run, **read_json(run.path / FILE))
