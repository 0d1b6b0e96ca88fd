"""Blends the members' answers and scores the blend on lines it was not fitted to."""

from __future__ import annotations

from daguan.core.runs import Run, Stopwatch
from daguan.core.types import labels_of
from daguan.data.folds import read_folds
from daguan.data.format import format_labelled, read_labelled, read_unlabelled, write_lines
from daguan.data.scores import all_metrics
from daguan.data.tags import TagScheme
from daguan.ensemble import blending
from daguan.ensemble.combination import OutOfFoldData
from daguan.ensemble.lookup import replace_known_lines
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once


def make(settings: Settings) -> Stages:
    """Blend the members, who are trained; returns the stages. Raises CheckpointError: the first that is not."""
    stages = Stages(settings)
    for member in stages.members:
        member.manifest()
    once(stages.blend, lambda run: blend(run, stages, settings))
    return stages


def blend(run: Run, stages: Stages, settings: Settings) -> None:
    """Write each member's and the blend's labelled test lines, their out-of-fold scores, and what `predict` needs."""
    watch = Stopwatch()
    train, test = read_labelled(stages.train_file), read_unlabelled(stages.contest.test)
    members = [blending.load_member(member.path, settings.folds.count) for member in stages.members]
    prepared, scheme = stages.prepare.path, TagScheme(labels_of(train))
    folds, text = read_folds(prepared), blending.load_text_index(prepared)
    data = OutOfFoldData(train, folds, [member.held_out for member in members], scheme, settings.seed, text)
    labelled = blending.label_all(members, data, test, settings.blend.method)
    known = read_labelled(stages.gold_file) if settings.blend.lookup else []
    for row in labelled:
        answer = replace_known_lines(row.test, known)
        write_lines(run.path / f"{row.name}.txt", map(format_labelled, answer))
    runs, final = [member.path for member in stages.members], labelled[-1]
    blending.save_blend(run.path, settings.blend.method, final.combination, runs, settings.folds.count, prepared)
    out_of_fold = {row.name: all_metrics(row.out_of_fold, train) for row in labelled}
    gains = blending.gains(labelled, train)
    run.finish(watch.seconds, out_of_fold=out_of_fold, gains=gains, final=final.name, method=settings.blend.method)
