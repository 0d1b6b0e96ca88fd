"""The command `baseline`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_leaderboard
from daguan.cli.tables.scores import print_blend, print_final


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Train and score the official baseline alone: an n-gram CRF."""
    from daguan.core.settings import require
    from daguan.families.family import baseline_family
    from daguan.pipeline import blend
    from daguan.pipeline.budget.plan import load
    from daguan.pipeline.score import final_scores
    from daguan.pipeline.train import train

    settings = load(configuration(words, accept_code))
    baseline = baseline_family()
    needs = settings.needs_of(baseline)
    require(f"ensemble.{baseline}.pseudo_labels.teachers", not needs, "none of the baseline", needs)
    alone = settings.replace(members=(baseline,), blend=settings.blend.replace(method="mean"))
    train(alone)
    stages = blend.make(alone)
    final = final_scores(stages)
    write_leaderboard(csv, stages)
    if as_json:
        print_json(final)
    else:
        print_blend(stages.answer.manifest(), stages.families)
        print_final(final, stages.families)
