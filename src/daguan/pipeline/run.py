"""Makes everything, from raw files to a checked submission."""

from __future__ import annotations

from daguan.pipeline import blend, prepare, pretrain, submit, train
from daguan.pipeline import settings as plain
from daguan.pipeline.budget.plan import load
from daguan.pipeline.budget.play import play
from daguan.pipeline.stages import Stages


def make(words: list[str]) -> Stages:
    """Make all runs up to the submission, under a budget those that its plan pays for; returns the stages."""
    stages = make_blend(words)
    submit.make(words)
    return stages


def make_blend(words: list[str]) -> Stages:
    """Make all runs up to the blend; returns the stages."""
    asked = plain.load(words)
    if asked.budget.minutes:
        play(asked)
    else:
        prepare.make(asked)
        pretrain.make(asked)
        train.train(asked)
    return blend.make(load(words))
