"""The stage `blend`: one answer of several members', scored on lines that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daguan.core.runs import Run, Stopwatch
from daguan.data.calibration import calibration
from daguan.data.format import format_labelled, write_lines
from daguan.data.scores import all_metrics
from daguan.ensemble import blending
from daguan.ensemble.answers import save_answers
from daguan.ensemble.blend_settings import BlendSettings
from daguan.ensemble.lookup import replace_known_lines
from daguan.pipeline.work.prepared import PreparedContest


def blend(run: Run, prepared: PreparedContest, members: Sequence[Path], settings: BlendSettings) -> None:
    """Write what the members and the blend say of all lines, their out-of-fold scores, and what `predict` needs."""
    watch = Stopwatch()
    train, test, folds = prepared.train, prepared.test, prepared.folds
    loaded = [blending.load_member(member, folds) for member in members]
    labelled = blending.label_all(loaded, prepared.blend_data(settings), test)
    known = prepared.known if settings.lookup else []
    for row in labelled:
        write_lines(run.path / f"{row.name}.txt", map(format_labelled, replace_known_lines(row.test, known)))
    save_answers(run.path, labelled)
    final = labelled[-1]
    models = blending.models_of(members, folds)
    blending.save_blend(run.path, settings.method, final.combination, models, prepared.folder)
    out_of_fold = {row.name: all_metrics(row.out_of_fold, train) for row in labelled}
    calibrations = {row.name: calibration(row.out_of_fold, train) for row in labelled}
    run.finish(
        watch.seconds,
        out_of_fold=out_of_fold,
        calibration=calibrations,
        gains=blending.gains(labelled, train),
        final=final.name,
        method=settings.method,
    )
