"""Prepares a contest: builds the built-in one, reports on the data, writes folds, vocabulary and token file."""

from __future__ import annotations

from pathlib import Path

from daguan.core.files import write_json
from daguan.core.progress import say
from daguan.core.runs import Run, Stopwatch
from daguan.core.types import Sentence, labels_of
from daguan.data import people_daily
from daguan.data.contest import Contest
from daguan.data.folds import FoldSettings, assign_folds, draw_lines, write_folds
from daguan.data.format import format_labelled, read_labelled, write_lines
from daguan.data.pretraining_text import prepare_text
from daguan.data.report import data_report, format_report
from daguan.data.scores import check_comparable
from daguan.pipeline.budget.plan import planned
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once


def make_planned(settings: Settings) -> None:
    """Prepare the settings as planned, where they have a budget; the plan is made first if there is none."""
    build_contest(settings, Stages(settings))
    make(planned(settings))


def make(settings: Settings, wait: bool = False) -> None:
    """Raises CheckpointError: another process is at it, and we are not to wait."""
    stages = Stages(settings)
    build_contest(settings, stages)
    once(stages.prepare, lambda run: prepare(run, stages.contest, settings, stages.data_sha256), wait)


def build_contest(settings: Settings, stages: Stages) -> None:
    """The built-in contest, unless it is there or another is named."""
    if not settings.data.dir and not people_daily.is_built(settings.contest, stages.contest):
        say(f"building the contest {settings.contest.folder} in {stages.contest.folder}")
        people_daily.build(settings.contest, stages.contest)


def prepare(run: Run, contest: Contest, settings: Settings, data_sha256: dict[str, str]) -> None:
    """Write folds.json, vocab.txt, the token file and report.json; with folds.lines also the lines that were drawn."""
    watch = Stopwatch()
    train, test = contest.read()
    if (gold := contest.test_gold).is_file():
        check_comparable(read_labelled(gold), test, (str(gold), str(contest.test)))
    write_folds(run.path, assign_folds(_taking_part(run.path, train, settings.folds), settings.folds))
    corpus = prepare_text(run.path, contest.corpus, [*train, *test], settings.vocabulary)
    report = data_report(train, test, corpus)
    write_json(run.path / "report.json", report)
    say(format_report(report, settings.folds))
    run.finish(watch.seconds, data_sha256=data_sha256, labels=labels_of(train), report=report)


def _taking_part(folder: Path, train: list[Sentence], settings: FoldSettings) -> list[Sentence]:
    """All training lines, or those drawn, which are written."""
    if not settings.lines:
        return train
    drawn = draw_lines(train, settings.lines, settings.seed)
    write_lines(Contest(folder).train, map(format_labelled, drawn))
    say(f"prepare: {len(drawn):,} of {len(train):,} training lines take part; pretraining reads all")
    return drawn
