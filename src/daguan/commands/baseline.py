"""baseline [CONFIG] [key=value …]: the contest's official baseline, an n-gram CRF, through the same folds."""

from __future__ import annotations

import dataclasses

from daguan.commands import blend, score
from daguan.commands.settings import load
from daguan.commands.train import train


def main(words: list[str]) -> None:
    train(dataclasses.replace(load(words), members=("ngram_crf",)))
    words = [*words, "members=ngram_crf", "blend.method=mean"]  # nothing learnt on top
    blend.main(words)
    score.main(words)
