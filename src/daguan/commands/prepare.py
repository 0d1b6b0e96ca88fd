"""prepare [CONFIG] [key=value …]: build the built-in contest, report on the data, fix folds and ids."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from daguan.batches import packing
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
from daguan.text.format import format_unlabelled, read_labelled, read_unlabelled
from daguan.text.scores import check_comparable
from daguan.text.vocabulary import count_to_vocabulary

REPORT_LINES = 50_000


def main(words: list[str]) -> None:
    settings = load(words)
    stages = Stages(settings)
    if not settings.data.dir and not people_daily.is_built(settings.contest, stages.contest):
        say(f"building the contest {settings.contest.folder} in {stages.contest}")
        people_daily.build(settings.contest, stages.contest)
    once(stages.prepare, lambda run: prepare(run, stages.contest, settings, stages.data_sha256))


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
    """Two passes over the distinct lines of corpus, train and test: count, then write ids."""
    if not corpus.exists():
        say(f"prepare: no {corpus.name} in {corpus.parent}: pretraining on train and test alone")
    counter = packing.TextCounter()

    def lines() -> Iterator[str]:
        from_corpus = packing.corpus_lines(corpus, counter) if corpus.exists() else iter(())
        return chain(from_corpus, map(format_unlabelled, labelled))

    counts = packing.count_tokens(_counted(packing.distinct(lines(), counter), "count"))
    seen = counter.snapshot()
    vocabulary = count_to_vocabulary(counts, settings.vocabulary)
    vocabulary.save(folder)
    path = packing.token_file(folder, len(vocabulary))
    packing.write_token_file(path, _counted(packing.distinct(lines(), counter), "write ids"), vocabulary)
    return seen | {"tokens": counts.total(), "types": len(counts), "vocabulary": len(vocabulary)}


def _counted(lines: Iterator[str], name: str) -> Iterator[str]:
    bar = Bar(f"prepare: {name}")
    number = 0
    for number, line in enumerate(lines, start=1):
        if number % REPORT_LINES == 0:
            bar.show(Progress(number, 0, "lines"))
        yield line
    bar.show(Progress(number, 0, "lines"))
    bar.close()
