"""The progress of a whole run: the jobs of all its stages, and the time until the last of them ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from daguan.core.progress import Bar, Row
from daguan.core.quantity import quantity
from daguan.families.job import Job
from daguan.pipeline.budget.estimates import Sizes
from daguan.pipeline.engines.whole import Whole
from daguan.pipeline.pretrain import pretrain_job, starts_of
from daguan.pipeline.stages import Stages

BLEND = "blend"


class WholeRun:
    """All jobs of a run. The remaining time is known as soon as a job of each stage has reported its own.

    Attributes:
        pretraining, training: the jobs of these stages, each after the stage before it.
        blending: the blend, whose seconds are estimated beforehand.
    """

    def __init__(self, pretraining: Whole, training: Whole, blending: Whole) -> None:
        self.pretraining, self.training, self.blending = pretraining, training, blending
        self._since = time.monotonic()

    def row(self) -> Row:
        stages = (self.pretraining, self.training, self.blending)
        done, waiting = sum(stage.done for stage in stages), sum(len(stage.kinds) for stage in stages)
        left = [stage.seconds_left() for stage in stages]
        amount = f"{done} of {quantity(done + waiting, 'job')} done"
        if None in left:
            return Row("whole run", None, amount)
        seconds, spent = sum(filter(None, left)), time.monotonic() - self._since
        return Row("whole run", spent / (spent + seconds) if seconds else 1.0, amount, seconds)

    @contextmanager
    def blends(self) -> Iterator[None]:
        """The context in which the blend is made."""
        if BLEND not in self.blending.kinds:
            yield
            return
        bar = Bar(BLEND)
        bar.begin()
        self.blending.give(BLEND, bar)
        yield
        self.blending.end(BLEND)


def whole_run(stages: Stages) -> WholeRun:
    """Returns all that remains to be done after `prepare`."""
    settings = stages.settings
    starts = {member: run for member, run in starts_of(stages, settings.trained).items() if not run.finished}
    pretraining = [pretrain_job(stages, member, 1) for member in starts]
    training = [job for member in settings.trained for job in stages.fold_jobs(member, 1)]
    blending = {} if stages.blend.finished else {BLEND: BLEND}
    return WholeRun(
        _whole(pretraining),
        _whole(training),
        Whole(BLEND, blending, expected={BLEND: _blend_seconds(stages)}),
    )


def _whole(jobs: Sequence[Job]) -> Whole:
    return Whole("jobs", {job.folder: job.kind_of_work for job in jobs if not job.finished})


def _blend_seconds(stages: Stages) -> float:
    """Returns the estimated seconds of the blend, from the report of `prepare`."""
    report, settings = stages.prepare.manifest()["report"], stages.settings
    sizes = Sizes(
        lines=report["train"]["lines"],
        tokens=report["train"]["tokens"],
        entities=report["entities"]["count"],
        types=len(report["entities"]["by_label"]),
        test_tokens=report["test"]["tokens"],
        text_tokens=report["corpus"]["tokens"],
        folds=settings.folds.count,
    )
    return sizes.blend_seconds(len(settings.blend.runs or settings.members))
