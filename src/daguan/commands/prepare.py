"""prepare [CONFIG] [key=value …]: build the built-in contest, report on the data, fix folds and ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

from daguan.batches.packing import NumberedText, token_file, write_token_file
from daguan.commands.settings import Settings, load
from daguan.commands.stages import Stages, once
from daguan.contests import people_daily
from daguan.core.errors import DataError
from daguan.core.files import write_json
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import Run, Stopwatch
from daguan.core.types import Sentence, labels_of
from daguan.reports.data_report import data_report, format_report
from daguan.text.folds import assign_folds, write_folds
from daguan.text.format import format_unlabelled, iter_lines, read_labelled, read_unlabelled
from daguan.text.scores import check_comparable
from daguan.text.vocabulary import count_to_vocabulary

REPORT_LINES = 50_000

Item = TypeVar("Item")


def main(words: list[str]) -> None:
    make(load(words))


def make(settings: Settings, wait: bool = False) -> None:
    """Raises CheckpointError: another process is at it, and we are not to wait."""
    stages = Stages(settings)
    build_contest(settings, stages)
    once(stages.prepare, lambda run: prepare(run, stages.contest, settings, stages.data_sha256), wait)


def build_contest(settings: Settings, stages: Stages) -> None:
    """The built-in contest, unless it is there or another is named."""
    if not settings.data.dir and not people_daily.is_built(settings.contest, stages.contest):
        say(f"building the contest {settings.contest.folder} in {stages.contest}")
        people_daily.build(settings.contest, stages.contest)


def prepare(run: Run, contest: Path, settings: Settings, data_sha256: dict[str, str]) -> None:
    """Write folds.json, vocab.txt, the token file and report.json."""
    watch = Stopwatch()
    train, test = read_labelled(contest / "train.txt"), read_unlabelled(contest / "test.txt")
    if (gold := contest / "test_gold.txt").is_file():
        check_comparable(read_labelled(gold), test, (str(gold), str(contest / "test.txt")))
    if not labels_of(train):
        raise DataError(f"{contest / 'train.txt'}: expected at least one entity, got only outside tokens")
    write_folds(run.path, assign_folds(train, settings.folds))
    corpus = _prepare_text(run.path, contest / "corpus.txt", [*train, *test], settings)
    report = data_report(train, test, corpus)
    write_json(run.path / "report.json", report)
    say(format_report(report, settings.folds))
    run.finish(watch.seconds, data_sha256=data_sha256, labels=labels_of(train), report=report)


def _prepare_text(folder: Path, corpus: Path, labelled: list[Sentence], settings: Settings) -> dict[str, Any]:
    """Number the distinct lines of corpus, train and test while counting, then write them as ids."""
    with TemporaryFile(dir=folder) as scratch:  # it has no name there, so nothing of it outlives us, even killed
        text = NumberedText(scratch)
        if corpus.exists():
            text.add_corpus(corpus, _counted(iter_lines(corpus), "read", "lines", REPORT_LINES))
        else:
            say(f"prepare: no {corpus.name} in {corpus.parent}: pretraining on train and test alone")
        for sentence in labelled:
            text.add(format_unlabelled(sentence))
        counts = text.counts()
        vocabulary = count_to_vocabulary(counts, settings.vocabulary)
        vocabulary.save(folder)
        chunks = _counted(text.ids(vocabulary), "write ids", "chunks", 1)
        write_token_file(token_file(folder, len(vocabulary)), chunks)
    lines = {"lines": text.lines, "distinct_lines": text.distinct_lines, "blank_lines": text.blank_lines}
    return lines | {"tokens": counts.total(), "types": len(counts), "vocabulary": len(vocabulary)}


def _counted(items: Iterator[Item], name: str, unit: str, report_every: int) -> Iterator[Item]:
    bar = Bar(f"prepare: {name}")
    number = 0
    for number, item in enumerate(items, start=1):
        if number % report_every == 0:
            bar.show(Progress(number, 0, unit))
        yield item
    bar.show(Progress(number, 0, unit))
    bar.close()
