"""Computes the findings of a report: what gold, members and blend say of every line."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame

from daguan.core.files import write_text
from daguan.core.runs import Run, Stopwatch
from daguan.pipeline.score import scores_on_test
from daguan.pipeline.stages import Stages
from daguan.report import errors, shift, suspicions, worth
from daguan.report.lines import line_columns
from daguan.report.page_json import page_json
from daguan.report.places import contested, string_columns, token_vectors
from daguan.report.tracks import Labelled, labelled


def investigate(run: Run, stages: Stages, file: str) -> None:
    """Write the findings into a file of the run."""
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
        "worth": worth.worth(stages, found),
        "found_by_none": errors.found_by_none(found),
        "test": scores_on_test(stages),
    }
    write_text(run.path / file, page_json(findings))
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
