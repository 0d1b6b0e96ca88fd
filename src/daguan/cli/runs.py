"""runs [CONFIG] [key=value …] [--json]: the trained runs of the work folder, by what may be blended together.

Test scores are of this configuration's contest, where it has gold labels, for the runs that were trained on its lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daguan.cli.score_table import print_table
from daguan.core.types import Sentence, labels_of
from daguan.data.format import read_labelled
from daguan.data.scores import span_score
from daguan.data.tags import TagScheme
from daguan.ensemble.blending import load_member
from daguan.pipeline.budget.plan import load
from daguan.pipeline.ledger import Entry, read_ledger
from daguan.pipeline.stages import Stages
from daguan.training.prediction import annotate, decode_lines

HEADER = ("run", "family", "encoder", "head", "seed", "folds", "F1", "test F1", "seconds")


def main(words: list[str]) -> None:
    stages = Stages(load([word for word in words if word != "--json"]))
    entries = read_ledger(stages.work)
    ours = stages.lines if stages.contest.folder.is_dir() and stages.prepare.finished else ""
    tests = _test_scores(stages, [entry for entry in entries if entry.lines == ours])
    for lines in dict.fromkeys(entry.lines for entry in entries):
        group = [entry for entry in entries if entry.lines == lines]
        print(f"lines {lines[:12]}: may be blended together{', here' if lines == ours else ''}")
        print_table(HEADER, [_row(entry, tests) for entry in group])
    if not entries:
        print(f"no trained run in {stages.work}")
    if "--json" in words:
        print(json.dumps([entry.to_json() | {"test_f1": tests.get(entry.run)} for entry in entries]))


def _test_scores(stages: Stages, entries: Sequence[Entry]) -> dict[str, float]:
    path = stages.contest.test_gold
    if not entries or not path.is_file():
        return {}
    gold = read_labelled(path)
    scheme = TagScheme(labels_of(read_labelled(stages.train_file)))
    return {entry.run: _test_f1(stages.work / entry.run, entry.folds, gold, scheme) for entry in entries}


def _test_f1(run: Path, folds: int, gold: Sequence[Sentence], scheme: TagScheme) -> float:
    found = decode_lines(load_member(run, folds).test, scheme)
    return span_score(annotate(gold, found), gold).f1


def _row(entry: Entry, tests: dict[str, float]) -> tuple[Any, ...]:
    test = f"{100 * tests[entry.run]:.2f}" if entry.run in tests else ""
    figures = (str(entry.seed), str(entry.folds), f"{100 * entry.f1:.2f}", test, f"{entry.seconds:,.0f}")
    return (entry.run, entry.family, entry.encoder, entry.head, *figures)
