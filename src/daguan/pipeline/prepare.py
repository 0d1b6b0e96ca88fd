"""Makes the run of `prepare`, and the built-in contest before it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from daguan.core.progress import say
from daguan.core.runs import Run
from daguan.data import people_daily
from daguan.formats.importing import build_in
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once
from daguan.pipeline.work.prepare import prepare


def make(settings: Settings, wait: bool = False) -> Run:
    """Make the run unless it is made; returns it. Raises CheckpointError: another process is at it, and we are not to
    wait."""
    stages = Stages(settings)
    build_contest(stages)
    folds, vocabulary = settings.folds, settings.vocabulary
    once(stages.prepare, partial(prepare, contest=stages.contest, folds=folds, vocabulary=vocabulary), wait)
    return stages.prepare


def build_contest(stages: Stages) -> None:
    """Build the built-in contest, or the one that data in another format become, unless it is there."""
    settings, contest = stages.settings, stages.contest
    if stages.imports and (built := build_in(contest.folder, Path(settings.data.dir))):
        lines = ", ".join(f"{name} {count:,}" for name, count in built.lines.items())
        say(f"imported {settings.data.dir} into {contest.folder}: lines of {lines}")
        say(f"`export SUBMISSION {contest.folder} OUTPUT` brings labels back in its own format")
    if not settings.data.dir and not people_daily.is_built(settings.contest, contest):
        say(f"building the contest {settings.contest.folder} in {contest.folder}")
        people_daily.build(settings.contest, contest)
