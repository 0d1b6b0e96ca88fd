"""The command `run`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_leaderboard
from daguan.cli.tables.scores import print_blend, print_final


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Make everything, from raw files to a checked submission.

    It runs prepare, pretrain, train, blend, submit and score. What is done is skipped, and what was cut short is
    continued. With budget.minutes, it trains what the minutes pay for, and from the third minute on there is a valid
    submission, which better ones replace.
    """
    from daguan.pipeline import run
    from daguan.pipeline.budget.plan import used
    from daguan.pipeline.score import final_scores

    given = configuration(words, accept_code)
    stages = run.make(given)
    found = final_scores(stages)
    write_leaderboard(csv, stages)
    if as_json:
        print_json(found)
        return
    print_blend(stages.answer.manifest(), stages.families)
    print_final(found, stages.families)
    if minutes := used(given):
        print(minutes)
