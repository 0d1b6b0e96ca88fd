"""baseline [CONFIG] [key=value …]: the contest's official baseline, an n-gram CRF, through the same folds."""

from __future__ import annotations

from dataclasses import replace

from daguan.cli import blend, score
from daguan.cli.train import train
from daguan.core.settings import require
from daguan.pipeline.budget.plan import load
from daguan.pipeline.stages import Stages


def main(words: list[str]) -> None:
    settings = load(words)
    needs = settings.member("ngram_crf").needs
    require("ensemble.ngram_crf.pseudo_labels.teachers", not needs, "none of the baseline", needs)
    nothing_on_top = replace(settings.blend, method="mean")
    alone = replace(settings, members=("ngram_crf",), blend=nothing_on_top)
    train(alone)
    blend.make(alone)
    score.print_final(Stages(alone), minutes="", as_json=False)
