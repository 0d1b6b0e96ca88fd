"""The contest's own format, as one of many: a line is a document, and `groups.txt` beside train.txt has the groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.types import Sentence
from daguan.data.contest import Contest
from daguan.data.format import (
    format_labelled,
    format_unlabelled,
    iter_corpus,
    iter_lines,
    parse_labelled,
    parse_unlabelled,
    read_labelled,
    read_unlabelled,
    shorten,
    write_lines,
)
from daguan.formats.document import Document
from daguan.formats.format import Format, Options


def is_labelled(path: Path) -> bool:
    """Returns whether the first line of a file is a labelled line. Raises DataError: no text in the file."""
    _, first = next(iter_lines(path))
    return _accepts(parse_labelled, first)


def can_hold(line: str) -> bool:
    """Returns whether a line is an unlabelled line of the contest."""
    return _accepts(parse_unlabelled, line)


def _accepts(parse: Callable[[str], object], line: str) -> bool:
    try:
        parse(line)
    except ValueError:
        return False
    return True


def read(path: Path, options: Options) -> list[Document]:
    contest = Contest(path.parent)
    if path == contest.corpus:
        lines = [(number, _corpus_line(path, number, line)) for number, line in iter_corpus(path) if line.strip()]
    else:
        lines = list(enumerate(read_labelled(path) if is_labelled(path) else read_unlabelled(path), start=1))
    has_groups = path == contest.train and contest.groups.is_file()
    groups = contest.read_groups(len(lines)) if has_groups else [None] * len(lines)
    return [
        Document(sentence.tokens, sentence.spans, group=group, place=f"{path}:{number}")
        for (number, sentence), group in zip(lines, groups, strict=True)
    ]


def _corpus_line(path: Path, number: int, line: str) -> Sentence:
    try:
        return parse_unlabelled(line)
    except ValueError as error:
        raise DataError(f"{path}:{number}: {error}") from None


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    labelled = {document.spans is not None for document in documents}
    if len(labelled) > 1:
        raise DataError(f"{path}: expected documents that are all annotated or none of them, got both")
    write_lines(path, [_line(document) for document in documents if document.tokens])
    if path == Contest(path.parent).train and all(document.group for document in documents):
        write_lines(Contest(path.parent).groups, [document.group or "" for document in documents if document.tokens])


def _line(document: Document) -> str:
    """Returns the line of a document. Raises DataError: a token or a label that the format cannot hold."""
    sentence = Sentence(document.tokens, document.spans)
    if not is_held(sentence):
        expected = "expected tokens without white space and '_', and lower-case labels"
        got = shorten(line_of(sentence))
        raise DataError(f"{document.place}: {expected}, got {got}; `import` replaces them by numbers")
    return line_of(sentence)


def line_of(sentence: Sentence) -> str:
    """Returns the line of a sentence, annotated or not."""
    return format_unlabelled(sentence) if sentence.spans is None else format_labelled(sentence)


def is_held(sentence: Sentence) -> bool:
    """Returns whether a line of the contest's format holds the tokens and labels of a sentence."""
    line = line_of(sentence)
    try:
        return (parse_unlabelled(line) if sentence.spans is None else parse_labelled(line)) == sentence
    except ValueError:
        return False


FORMAT = Format(read, write)
