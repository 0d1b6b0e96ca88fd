"""The command `train`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Train every member through the same folds, on all cores.

    Folds are trained in worker processes. Members with pseudo_labels.teachers come after their teachers, who label
    lines for them first. Under a budget, a member that fails or no longer fits into the minutes is dropped, and the
    others continue.
    """
    from daguan.pipeline import train
    from daguan.pipeline.budget.plan import supervised

    with supervised(configuration(words, accept_code)) as (settings, supervisor):
        stages = train.train(settings, supervisor)
    if as_json:
        runs = [run for member in settings.trained if (run := stages.train(member)).finished]
        print_json({run.path.name: run.manifest() for run in runs})
