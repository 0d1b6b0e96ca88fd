"""The command `runs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_csv
from daguan.cli.tables.text import print_table

if TYPE_CHECKING:
    from daguan.pipeline.ledger import Entry
    from daguan.pipeline.stages import Stages

HEADER = ("run", "family", "encoder", "head", "seed", "folds", "F1", "test F1", "seconds")


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """List the trained runs, by what may be blended together.

    Test scores are those of this configuration's contest, where it has gold labels, for the runs trained on its lines.
    """
    from daguan.pipeline.budget.plan import load
    from daguan.pipeline.ledger import earlier_runs, read_ledger, reasons
    from daguan.pipeline.stages import Stages

    stages = Stages(load(configuration(words, accept_code)))
    entries = read_ledger(stages.work)
    write_csv(csv, "runs", entries)
    ours = stages.lines if stages.contest.folder.is_dir() and stages.prepare.finished else ""
    tests = test_scores(stages, [entry for entry in entries if entry.lines == ours])
    differing = reasons(stages, entries) if ours else {}
    if as_json:
        more = {entry.run: {"test_f1": tests.get(entry.run), "differs": differing.get(entry.run)} for entry in entries}
        print_json([entry.to_json() | more[entry.run] for entry in entries])
        return
    if not entries:
        print(f"no trained run in {stages.work}")
    print_groups(entries, ours, tests)
    for run, why in differing.items():
        print(f"{run}: not this configuration's: {', '.join(why)}")
    for run in earlier_runs(stages.work):
        print(f"{run}: of an earlier version, not read")


def test_scores(stages: Stages, entries: Sequence[Entry]) -> dict[str, float]:
    """Return the span F1 of each run on the test lines, by its name; nothing where there are no gold labels."""
    from daguan.core.types import labels_of
    from daguan.data.decoding import decode_lines
    from daguan.data.format import read_labelled
    from daguan.data.span_score import span_score
    from daguan.data.tags import TagScheme
    from daguan.ensemble.blending import load_member
    from daguan.training.prediction import annotate

    if not entries or not stages.contest.test_gold.is_file():
        return {}
    gold, scheme = read_labelled(stages.contest.test_gold), TagScheme(labels_of(read_labelled(stages.train_file)))
    found = {}
    for entry in entries:
        answers = load_member(stages.work / entry.run, entry.folds).test
        found[entry.run] = span_score(annotate(gold, decode_lines(answers, scheme)), gold).f1
    return found


def print_groups(entries: Sequence[Entry], ours: str, tests: dict[str, float]) -> None:
    """Print one table for each group of runs on the same lines; `ours` are the lines of this configuration."""
    for lines in dict.fromkeys(entry.lines for entry in entries):
        print(f"lines {lines[:12]}: may be blended together{', here' if lines == ours else ''}")
        print_table(HEADER, [_row(entry, tests) for entry in entries if entry.lines == lines])


def _row(entry: Entry, tests: dict[str, float]) -> tuple[Any, ...]:
    test = f"{100 * tests[entry.run]:.2f}" if entry.run in tests else ""
    figures = (str(entry.seed), str(entry.folds), f"{100 * entry.f1:.2f}", test, f"{entry.seconds:,.0f}")
    return (entry.run, entry.family, entry.encoder, entry.head, *figures)
