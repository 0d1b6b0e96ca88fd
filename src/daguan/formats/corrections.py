"""Corrections that were marked in a report, and the contest's folder in which the training lines have them."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from daguan.core.errors import DataError
from daguan.core.files import read_json, real_path, sha256_of_file, sha256_of_json, write_atomic, write_json
from daguan.core.types import Sentence, Span
from daguan.data.contest import TRAIN, Contest
from daguan.data.format import format_labelled, read_labelled, shorten, write_lines
from daguan.formats.code_book import CodeBook
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.importing import files_of
from daguan.formats.jsonl import Record, read

FILE = "corrections.json"  # in the folder that was made: what it was made of


class Taken(NamedTuple):
    """What was done with corrections.

    Attributes:
        changed: training lines whose labels are others now.
        left_out: corrections of lines that are not for training.
    """

    changed: int
    left_out: int


def corrected_in(work: Path, contest: Contest, corrections: Path) -> Contest:
    """Returns the contest below `work` that has the corrections. Raises DataError: there is no such file."""
    if not corrections.is_file():
        raise DataError(f"{corrections}: expected corrections that a report exported, got nothing at that path")
    name = real_path(contest.folder).name
    key = sha256_of_json({"contest": str(real_path(contest.folder)), "corrections": sha256_of_file(corrections)})
    return Contest(work / f"corrected-{name}-{key[:8]}")


def build_corrected(made: Contest, contest: Contest, corrections: Path) -> Taken | None:
    """Writes the contest with its corrections, unless it is there and the original has not changed; then None.

    The copy has the files that the original has, and no others.

    Raises:
        DataError: a correction is damaged, or of a line that the contest does not have.
    """
    copied = [path for path in files_of(contest) if path != contest.train]
    about = {"contest": contest.sha256() | {path.name: sha256_of_file(path) for path in copied if path.is_file()}}
    if (made.folder / FILE).is_file() and read_json(made.folder / FILE) == about:
        return None
    lines = read_labelled(contest.train)
    documents = read(corrections, Options())
    ours = [document for document in documents if _file(document) == TRAIN]
    fixed = corrected(lines, ours, _labels(contest))
    (made.folder / FILE).unlink(missing_ok=True)  # until the folder is whole
    for path in copied:
        copy(path, made.folder / path.name)
    write_lines(made.train, map(format_labelled, fixed))
    write_json(made.folder / FILE, about)
    return Taken(sum(a != b for a, b in zip(lines, fixed, strict=True)), len(documents) - len(ours))


def corrected(lines: Sequence[Sentence], documents: Sequence[Document], labels: dict[str, str]) -> list[Sentence]:
    """Returns the lines with the labels of the corrections.

    A correction is of the line with its number if that has its tokens, and else of all lines that have them: a report
    on a sample counts the lines of the sample. labels: the contest's, by the user's. Raises DataError: no line has the
    tokens, or a label is unknown.
    """
    found, places = [*lines], defaultdict(list)
    for number, line in enumerate(lines):
        places[line.tokens].append(number)
    for document in documents:
        if document.tokens not in places:
            raise DataError(f"{document.place}: expected the tokens of a training line, got {_shown(document)}")
        spans = tuple(_encoded(span, labels, document.place) for span in document.spans or ())
        number = document.source.values.get("line", 0) - 1
        alike = places[document.tokens]
        for one in [number] if number in alike else alike:
            found[one] = Sentence(document.tokens, spans)
    return found


def _file(document: Document) -> str:
    """Returns the file that a correction is of. Raises DataError: it does not say so."""
    record = document.source.values if isinstance(document.source, Record) else {}
    name, line = record.get("file"), record.get("line")
    if not isinstance(name, str) or not isinstance(line, int) or document.spans is None:
        raise DataError(f"{document.place}: expected a correction with file, line and label, got {_shown(document)}")
    return Path(name).name


def _labels(contest: Contest) -> dict[str, str]:
    if CodeBook.is_in(contest):
        return CodeBook.load(contest).labels
    return {span.label: span.label for line in read_labelled(contest.train) for span in line.gold}


def _encoded(span: Span, labels: dict[str, str], place: str) -> Span:
    if span.label not in labels:
        raise DataError(f"{place}: expected a label of {', '.join(sorted(labels))}, got {shorten(span.label)}")
    return replace(span, label=labels[span.label])


def _shown(document: Document) -> str:
    return shorten("_".join(document.tokens))


def copy(source: Path, target: Path) -> None:
    """Copies a file; where there is none, the target is removed."""
    if source.is_file():
        write_atomic(target, partial(shutil.copyfile, source))
    else:
        target.unlink(missing_ok=True)
