"""What a report says of a finished run, computed once: the run `report-KEY` holds it as findings.json."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from pandas import DataFrame

from daguan.core.files import read_json, sha256_of_file, write_text
from daguan.core.progress import say
from daguan.core.runs import Run, Stopwatch, run_of
from daguan.core.tables import Row
from daguan.pipeline.stages import Stages, once
from daguan.report import errors, leaderboard, shift, suspicions
from daguan.report.lines import line_columns
from daguan.report.page_json import page_json
from daguan.report.places import contested, string_columns, token_vectors
from daguan.report.tracks import Labelled, labelled

FILE = "findings.json"
CODE = [Row("daguan.report.findings:investigate")]


class Findings(NamedTuple):
    """The findings of a report.

    Attributes:
        run: where they are.
        lines, strings: the columns of the explorer.
        tokens: the text of its token ids.
        tables: by name, as `frame_of` reads them.
        shift: from train to test; None where that is not known.
        worth: how the worth of each member was found, and the worth.
    """

    run: Run
    lines: dict[str, Any]
    strings: dict[str, Any]
    tokens: list[str]
    tables: dict[str, Any]
    shift: dict[str, float] | None
    worth: dict[str, Any]

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
        say(f"report: compares what gold, members and blend say of every line ({run.path})")
        once(run, partial(investigate, stages=stages), wait=True)
    return Findings(run, **read_json(run.path / FILE))


def investigate(run: Run, stages: Stages) -> None:
    """Write findings.json."""
    watch, found = Stopwatch(), labelled(stages)
    labels = dict(zip(found.scheme.labels, stages.translation.labels(found.scheme.labels), strict=True))
    vocabulary: dict[str, int] = {}
    lines = line_columns(found, [*labels.values()], vocabulary)
    strings = _strings(stages, found, vocabulary)
    tables = {
        "by_property": errors.by_property(found, labels),
        "by_kind": errors.by_kind(found),
        "confusion": errors.confusion(found, found.final, labels),
        "disagreement": errors.disagreement(found),
        "label_errors": suspicions.label_errors(found, labels),
        "ambiguous_strings": suspicions.ambiguous_strings(found, labels),
        "types": suspicions.types(found, labels),
    }
    moved = shift.shift(found, stages.settings.seed)
    findings = {
        "lines": lines,
        "strings": strings,
        "tokens": [*vocabulary],
        "tables": {name: _plain(table) for name, table in tables.items()},
        "shift": moved.to_json() if moved else None,
        "worth": leaderboard.worth(stages, found),
    }
    write_text(run.path / FILE, page_json(findings))
    run.finish(watch.seconds)


def _strings(stages: Stages, found: Labelled, vocabulary: dict[str, int]) -> dict[str, Any]:
    strings = found.strings()
    differing = contested(strings, [track.lines for track in found.tracks], found.sentences)
    pretrained = (run for member in stages.settings.members if (run := stages.pretrain(member)) and run.finished)
    vectors = next((one for run in pretrained if (one := token_vectors(run.path))), None)
    return string_columns(strings, found.sentences, stages.contest.corpus, differing, vocabulary, vectors)


def _plain(table: DataFrame) -> dict[str, Any]:
    """Returns a table as JSON."""
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    return {"columns": [*map(str, table.columns)], "index": [*map(str, table.index)], "rows": rows}
