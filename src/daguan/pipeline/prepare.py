"""Makes the run of `prepare`, and the built-in contest before it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from daguan.competition import submissions_table
from daguan.core.files import real_path, require_writable
from daguan.core.progress import say
from daguan.core.runs import Run
from daguan.core.settings import require
from daguan.data import people_daily
from daguan.formats.corrections import build_corrected
from daguan.formats.importing import build_in
from daguan.models.encoders import hub
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once, start_files
from daguan.pipeline.work.prepare import prepare

LONGEST_NAME = 255  # bytes of a file's name


def make(settings: Settings, wait: bool = False) -> Run:
    """Make the run unless it is made; returns it.

    Raises:
        CheckpointError: another process is at it, and we are not to wait.
        DaguanError: what a later stage would refuse, after minutes of training.
    """
    stages = Stages(settings)
    build_contest(stages)
    require_places(stages)
    require_inputs(stages)
    folds, vocabulary = settings.folds, settings.vocabulary
    once(stages.prepare, partial(prepare, contest=stages.contest, folds=folds, vocabulary=vocabulary), wait)
    require_runs(stages)
    return stages.prepare


def require_runs(stages: Stages) -> None:
    """Raises CheckpointError: a run that a setting names is missing, or on other lines."""
    settings = stages.settings
    for name in settings.blend.runs:
        stages.named("blend.runs", name)
    for run in {settings.member(member).conflicts.run for member in settings.trained} - {""}:
        stages.named("conflicts.run", run)


def require_places(stages: Stages) -> None:
    """Raises WriteError, ConfigError or DataError: no submission can be written."""
    folder, contest = Path(stages.settings.data.submissions), real_path(stages.contest.folder).name
    require_writable(folder)
    submissions_table.read(folder)
    longest = f"{contest}-{stages.settings.name}-{'0' * 8}.json"
    fits = len(longest.encode()) <= LONGEST_NAME
    require("name", fits, f"a name that fits into one of {LONGEST_NAME} bytes after {contest!r}", stages.settings.name)


def require_inputs(stages: Stages, fetches: bool = True) -> None:
    """Raises DataError or CheckpointError: something that a member starts from is missing, or the code book, which the
    models keep, is damaged.

    fetches: whether checkpoints on the hub are fetched; otherwise those that are not here are passed over.
    """
    _ = stages.translation
    for member in stages.settings.trained:
        config = stages.settings.member(member)
        if fetches:
            hub.fetch(config.encoder.checkpoint)
        if fetches or not hub.is_absent(config.encoder.checkpoint):
            start_files(stages.member(member))
        if config.pseudo_labels.teachers:
            from daguan.ensemble.pseudo_labels import require_corpus  # with torch, which `prepare` does not need

            require_corpus(stages.contest.corpus, config.pseudo_labels)


def build_contest(stages: Stages) -> None:
    """Build the built-in contest, or the one that data in another format become, and one with the corrections, unless
    they are there."""
    settings, contest = stages.settings, stages.original
    if stages.imports and (built := build_in(contest.folder, Path(settings.data.dir))):
        lines = ", ".join(f"{name} {count:,}" for name, count in built.lines.items())
        say(f"imported {settings.data.dir} into {contest.folder}: lines of {lines}")
        say(f"`export SUBMISSION {contest.folder} OUTPUT` brings labels back in its own format")
    if not settings.data.dir and not people_daily.is_built(settings.contest, contest):
        say(f"building the contest {settings.contest.folder} in {contest.folder}")
        people_daily.build(settings.contest, contest)
    marked = settings.data.corrections
    if marked and (taken := build_corrected(stages.contest, contest, Path(marked))):
        left_out = f"; {taken.left_out:,} of test lines left out" if taken.left_out else ""
        say(f"corrections: training lines with other labels now: {taken.changed:,}{left_out} ({stages.contest.folder})")
