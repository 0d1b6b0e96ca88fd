"""baseline [CONFIG] [key=value …]: the contest's official baseline, an n-gram CRF, through the same folds."""

from __future__ import annotations

from dataclasses import replace

from daguan.commands import blend, score
from daguan.commands.budget import load
from daguan.commands.stages import Stages
from daguan.commands.train import train
from daguan.core.settings import require


def main(words: list[str]) -> None:
    settings = load(words)
    needs = settings.member("ngram_crf").needs
    require("ensemble.ngram_crf.pseudo_labels.teachers", not needs, "none of the baseline", needs)
    nothing_on_top = replace(settings.blend, method="mean")
    alone = replace(settings, members=("ngram_crf",), blend=nothing_on_top)
    train(alone)
    blend.make(alone)
    score.print_final(Stages(alone), minutes="", as_json=False)
