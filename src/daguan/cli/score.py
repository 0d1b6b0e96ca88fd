"""score PRED GOLD [--json], or score [CONFIG] [key=value …]: both readings of the metric.

The second form scores the submission of a configuration, and each member beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from daguan.cli.score_table import no_better, print_scores, print_types
from daguan.data.scores import score_files

if TYPE_CHECKING:  # loads torch, which scoring two files does without
    from daguan.pipeline.stages import Stages


def main(words: list[str]) -> None:
    files = [word for word in words if word != "--json"]
    if len(files) == 2 and not any("=" in word for word in files) and not files[0].endswith((".yaml", ".yml")):
        print_files(Path(files[0]), Path(files[1]), "--json" in words)
    else:
        score_configuration(files, "--json" in words)


def print_files(predicted: Path, gold: Path, as_json: bool) -> None:
    """Print tables; with `as_json`, one object on the last line."""
    scores = score_files(predicted, gold)
    print_scores(predicted.name, {"": scores})
    print_types(scores)
    if as_json:
        print(json.dumps(scores))


def score_configuration(words: list[str], as_json: bool) -> None:
    """The final table: every member out of fold and, where gold labels exist, on the test lines."""
    from daguan.pipeline.budget.plan import load, used
    from daguan.pipeline.stages import Stages

    stages = Stages(load(words))
    print_final(stages, used(words, stages.blend.path), as_json)


def print_final(stages: Stages, minutes: str, as_json: bool) -> None:
    """minutes: what is to be said of a budget, if anything."""
    blend = stages.blend.manifest()
    print_scores("out of fold", blend["out_of_fold"])
    summary = {"submission": str(stages.submission), "out_of_fold": blend["out_of_fold"]}
    line = f"out-of-fold span F1 {100 * blend['out_of_fold'][blend['final']]['span']['f1']:.2f}"
    gold = stages.contest.test_gold
    if gold.is_file():
        test = {name: score_files(stages.blend.path / f"{name}.txt", gold) for name in blend["out_of_fold"]}
        print_scores("test", test)
        print_types(test[blend["final"]])
        summary["test"] = test
        final = test[blend["final"]]
        line += f", test span F1 {100 * final['span']['f1']:.2f}, test contest F1 {100 * final['contest']['f1']:.2f}"
    print(f"model: {stages.blend.path}")
    print(f"submission: {stages.submission}{'' if stages.submission.is_file() else ' (not written yet: run submit)'}")
    print(f"scores: {line}")
    for warning in no_better(blend["out_of_fold"], blend["final"], stages.families):
        print(f"warning: {warning}")
    if minutes:
        print(minutes)
    if as_json:
        print(json.dumps(summary))
