"""blend [CONFIG] [key=value …]: blend the members by blend.method, scored on lines that the blend was not fitted to."""

from __future__ import annotations

from daguan.cli.score_table import no_better, print_gains, print_scores
from daguan.core.progress import say
from daguan.pipeline import blend
from daguan.pipeline.budget.plan import load
from daguan.pipeline.stages import Stages


def main(words: list[str]) -> None:
    print_blend(blend.make(load(words)))


def print_blend(stages: Stages) -> None:
    """Print out-of-fold scores and gains of a finished blend."""
    families, found = stages.families, stages.blend.manifest()
    print_scores("out of fold", found["out_of_fold"])
    print_gains(found["gains"])
    for line in no_better(found["out_of_fold"], found["final"], families):
        say(f"blend: {line}")
