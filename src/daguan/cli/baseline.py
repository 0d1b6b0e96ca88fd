"""baseline [CONFIG] [key=value …]: the contest's official baseline, an n-gram CRF, through the same folds."""

from __future__ import annotations

from daguan.cli import score
from daguan.cli.blend import print_blend
from daguan.core.settings import require
from daguan.pipeline import blend
from daguan.pipeline.budget.plan import load
from daguan.pipeline.train import train


def main(words: list[str]) -> None:
    settings = load(words)
    needs = settings.needs_of("ngram_crf")
    require("ensemble.ngram_crf.pseudo_labels.teachers", not needs, "none of the baseline", needs)
    nothing_on_top = settings.blend.replace(method="mean")
    alone = settings.replace(members=("ngram_crf",), blend=nothing_on_top)
    train(alone)
    stages = blend.make(alone)
    print_blend(stages)
    score.print_final(stages, minutes="", as_json=False)
