"""Brings predictions of a contest file back into the text, and the format, that the contest was imported from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daguan.core.errors import DataError
from daguan.core.files import require_utf8
from daguan.core.quantity import quantity
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import format_unlabelled, read_labelled
from daguan.formats import contest_lines
from daguan.formats.code_book import CodeBook
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.importing import Key, origin_of, test_key
from daguan.formats.parts import require_outside, sha256_of
from daguan.formats.sources import Source, read_to_label
from daguan.formats.table import format_of, guess_new

Line = tuple[int, int, int]  # the number of a document, and the half-open range of its tokens


@dataclass(frozen=True)
class Written:
    """What was written: documents, entities in them, and the format."""

    documents: int
    entities: int
    format: str


def export(predicted: Path, folder: Path, output: Path, format: str = "", scheme: str = "") -> Written:
    """Writes the labels of a contest file to the documents that `folder` was imported from.

    In a folder that was not imported, the lines of the file themselves are the documents, with the text of the code
    book if there is one. Raises DataError: the source has changed since, or the file labels other lines than the
    folder's test.txt. Raises ConfigError: the output would change the source.
    """
    contest = Contest(folder)
    if origin := origin_of(folder):
        documents, found = _labelled(predicted, origin, CodeBook.load(contest), output)
    else:
        documents, found = contest_lines.FORMAT.read(predicted, Options()), "contest"
        documents = [*CodeBook.load(contest).decode(documents)] if CodeBook.is_in(contest) else documents
    return write(documents, output, format or guess_new(output, found), scheme)


def restore(predicted: Path, key: Path, output: Path, format: str = "", scheme: str = "") -> Written:
    """Writes the labels of a contest file to the documents that were anonymised with the key. Raises DataError: as
    `export`, or none with these lines was."""
    kept = Key.load(key)
    lines = [format_unlabelled(sentence) for sentence in read_labelled(predicted)]
    origin = kept.origins.get(test_key(lines))
    if origin is None:
        raise DataError(f"{predicted}: expected labels of a test.txt that {key} anonymised, got other lines")
    documents, found = _labelled(predicted, origin, kept.book, output)
    return write(documents, output, format or guess_new(output, found), scheme)


def _labelled(predicted: Path, origin: dict[str, Any], book: CodeBook, output: Path) -> tuple[list[Document], str]:
    source = Source.from_json(origin["source"])
    require_outside(output, source.parts_to_label().values())
    for part, path in source.parts_to_label().items():
        if sha256_of(path) != origin["sha256"].get(part):
            raise DataError(f"{path}: expected the data that were imported, got changed ones; import them again")
    documents, format = read_to_label(source, source.options())
    return _with_labels(documents, read_labelled(predicted), book, source.whole, predicted), format


def _with_labels(
    documents: Sequence[Document], lines: Sequence[Sentence], book: CodeBook, whole: bool, path: Path
) -> list[Document]:
    """Returns the documents with the entities of lines. Raises DataError: they are other lines."""
    parts = lines_of(documents, whole)
    if len(parts) != len(lines):
        place = f"{path}:{min(len(parts), len(lines)) + 1}"
        raise DataError(f"{place}: expected {quantity(len(parts), 'line')}, as in test.txt, got {len(lines):,}")
    spans = []
    for line, ((number, start, stop), sentence) in enumerate(zip(parts, lines, strict=True), start=1):
        expected = tuple(book.tokens.get(token) for token in documents[number].tokens[start:stop])
        if sentence.tokens != expected:
            raise DataError(f"{path}:{line}: expected the tokens of line {line} of test.txt, got others")
        spans.append([*book.decode_spans(sentence.gold, f"{path}:{line}")])
    return with_spans(documents, parts, spans)


def lines_of(documents: Sequence[Document], whole: bool) -> list[Line]:
    """Returns the lines of documents, in order."""
    return [(number, *part) for number, document in enumerate(documents) for part in document.lines(whole)]


def with_spans(documents: Sequence[Document], lines: Sequence[Line], spans: Sequence[Sequence[Span]]) -> list[Document]:
    """Returns the documents with the spans of their lines."""
    found: list[list[Span]] = [[] for _ in documents]
    for (number, start, _), its in zip(lines, spans, strict=True):
        found[number] += [replace(span, start=span.start + start, stop=span.stop + start) for span in its]
    return [document.with_spans(its) for document, its in zip(documents, found, strict=True)]


def write(documents: Sequence[Document], output: Path, format: str, scheme: str = "") -> Written:
    """Writes documents in the format of that name. Raises ConfigError or DataError: it cannot hold them,
    or the name is not UTF-8."""
    require_utf8(output)
    format_of(format).write(output, documents, Options(scheme=scheme))
    return Written(len(documents), sum(len(document.spans or ()) for document in documents), format)
