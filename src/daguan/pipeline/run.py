"""Makes everything, from raw files to a checked submission."""

from __future__ import annotations

from daguan.core.progress import shown
from daguan.pipeline import blend, prepare, pretrain, submit, train
from daguan.pipeline import settings as plain
from daguan.pipeline.budget.plan import load
from daguan.pipeline.budget.play import play
from daguan.pipeline.engines.running import require_engine
from daguan.pipeline.stages import Stages
from daguan.pipeline.whole_run import whole_run


def make(words: list[str]) -> Stages:
    """Make all runs up to the submission, under a budget those that its plan pays for; returns the stages."""
    stages = make_blend(words)
    submit.make(words)
    return stages


def make_blend(words: list[str]) -> Stages:
    """Make all runs up to the blend; returns the stages."""
    settings = plain.load(words)
    require_engine(settings.engine, settings.data.work)
    if settings.budget.minutes:
        play(settings)
        return blend.make(load(words))
    prepare.make(settings)
    whole = whole_run(Stages(settings))
    with shown(whole.row):
        pretrain.make(settings, whole.pretraining)
        train.train(settings, whole.training)
        with whole.blends():
            return blend.make(settings)
