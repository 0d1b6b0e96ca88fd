"""The command `prepare`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Build or read the contest, report on the data, fix the folds.

    The folds and the token ids are fixed for all later commands. Without data.dir, the built-in contest is built.
    """
    from daguan.pipeline import prepare
    from daguan.pipeline.budget.plan import load_sized
    from daguan.pipeline.settings import load
    from daguan.pipeline.stages import Stages

    given = configuration(words, accept_code)
    prepare.build_contest(Stages(load(given)))  # whose size decides on a budget's folds
    run = prepare.make(load_sized(given))
    if as_json:
        print_json({"run": str(run.path), "report": run.manifest()["report"]})
