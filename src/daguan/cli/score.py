"""The command `score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import AcceptCode, Csv, Json, configuration, print_json, write_csv, write_leaderboard
from daguan.cli.tables.scores import print_final, print_scores, print_types

Words = Annotated[
    list[str],
    typer.Argument(default_factory=list, metavar="PRED GOLD | [CONFIG] [key=value …]", hidden=True),
]


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Score a file by both metrics, or print the final table.

    PRED GOLD scores the file PRED against the file GOLD, both as train.txt or in a format that `import` reads. A
    configuration gives the scores of its submission and of each member: out of fold and, where gold labels exist, on
    the test lines.
    """
    files = all("=" not in word or Path(word).is_file() for word in words)
    if len(words) == 2 and files and not words[0].endswith((".yaml", ".yml")):
        score_files(Path(words[0]), Path(words[1]), csv, as_json)
    else:
        score_configuration(configuration(words, accept_code), csv, as_json)


def score_files(predicted: Path, gold: Path, csv: Path | None, as_json: bool) -> None:
    from daguan.api.scoring import score

    found = score(predicted, gold)
    write_csv(csv, "scores", found)
    if as_json:
        print_json(found)
    else:
        print_scores(predicted.name, {"": found})
        print_types(found)


def score_configuration(words: list[str], csv: Path | None, as_json: bool) -> None:
    from daguan.pipeline.budget.plan import load, used
    from daguan.pipeline.score import final_scores
    from daguan.pipeline.stages import Stages

    stages = Stages(load(words))
    found, minutes = final_scores(stages), used(words)
    write_leaderboard(csv, stages)
    if as_json:
        print_json(found)
    else:
        print_final(found, stages.families)
        if minutes:
            print(minutes)
