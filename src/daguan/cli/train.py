"""The command `train`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Train every member through the same folds, on all cores.

    Folds are trained in worker processes. Members with pseudo_labels.teachers come after their teachers, who label
    lines for them first.
    """
    from daguan.pipeline import train
    from daguan.pipeline.budget.plan import load

    settings = load(configuration(words, accept_code))
    stages = train.train(settings)
    if as_json:
        print_json({run.path.name: run.manifest() for run in map(stages.train, settings.trained)})
