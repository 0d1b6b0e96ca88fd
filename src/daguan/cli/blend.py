"""The command `blend`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_leaderboard
from daguan.cli.tables.scores import print_blend


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Combine the members' answers by blend.method, and score them.

    The blend is scored on lines that it was not fitted to.
    """
    from daguan.pipeline import blend
    from daguan.pipeline.budget.plan import load

    stages = blend.make(load(configuration(words, accept_code)))
    found = stages.blend.manifest()
    write_leaderboard(csv, stages)
    if as_json:
        results = {name: found[name] for name in ("final", "method", "out_of_fold", "gains")}
        print_json({"model": str(stages.blend.path), **results})
    else:
        print_blend(found, stages.families)
