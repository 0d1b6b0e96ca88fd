"""The stage `prepare`: reports on the data, and writes folds, vocabulary and token file."""

from __future__ import annotations

from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.files import write_json
from daguan.core.progress import say
from daguan.core.quantity import quantity
from daguan.core.runs import Run, Stopwatch
from daguan.core.types import Sentence, labels_of
from daguan.data.contest import Contest, require_unchanged
from daguan.data.folds import FoldSettings, assign_folds, document_of_line, draw_numbers, write_folds
from daguan.data.format import format_labelled, read_labelled, write_lines
from daguan.data.pretraining_text import prepare_text
from daguan.data.report import data_report, format_report, groups_report
from daguan.data.span_score import check_comparable
from daguan.data.vocabulary import VocabularySettings
from daguan.formats.translation import Translation

MOST_TYPES = 1_000


def prepare(run: Run, contest: Contest, folds: FoldSettings, vocabulary: VocabularySettings) -> None:
    """Write folds.json, vocab.txt, the token file and report.json; with folds.lines also the lines that were drawn."""
    watch = Stopwatch()
    train, test = read_checked(contest)
    documents, numbers = document_of_line(contest, len(train), folds), _taking_part(run.path, train, folds)
    sentences, documents = [train[i] for i in numbers], None if documents is None else documents[numbers]
    write_folds(run.path, assign_folds(sentences, folds, documents))
    corpus = prepare_text(run.path, contest.corpus, [*train, *test], vocabulary)
    report = data_report(train, test, corpus) | {"groups": groups_report(sentences, documents)}
    write_json(run.path / "report.json", report)
    for name, sha256 in run.depends_on["data"].items():
        require_unchanged(contest.folder / name, sha256)
    entities = report["entities"]
    by_label = Translation.of(contest).by_type(entities["by_label"])
    say(format_report(report | {"entities": entities | {"by_label": by_label}}, folds))
    run.finish(watch.seconds, labels=labels_of(train), report=report)


def read_checked(contest: Contest) -> tuple[list[Sentence], list[Sentence]]:
    """Returns the training lines and the test lines. Raises DataError: malformed, or no work for the later stages."""
    train, test = contest.read()
    _require_few_types(contest, len(labels_of(train)))
    if (gold := contest.test_gold).is_file():
        check_comparable(read_labelled(gold), test, (str(gold), str(contest.test)))
    return train, test


def _require_few_types(contest: Contest, types: int) -> None:
    if types > MOST_TYPES:
        why = "as time and memory of training grow with their square"
        raise DataError(
            f"{contest.train}: expected at most {MOST_TYPES:,} entity types, {why}, got {types:,}; join some"
        )


def _taking_part(folder: Path, train: list[Sentence], settings: FoldSettings) -> list[int]:
    """Returns the numbers of all training lines, or of those drawn, which are written."""
    if not settings.lines:
        return [*range(len(train))]
    drawn = draw_numbers(train, settings.lines, settings.seed)
    write_lines(Contest(folder).train, (format_labelled(train[number]) for number in drawn))
    say(f"prepare: takes {len(drawn):,} of {quantity(len(train), 'training line')}; pretraining reads all")
    return drawn
