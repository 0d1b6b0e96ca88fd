"""Folders that Hugging Face's `datasets` saves (`save_to_disk`): a row is a document with tokens and tags.

Columns are found by their names. Columns `text`, `offsets` and `document` are written where a document has them, and
read again; other columns are kept. A row whose tags are all -1, as datasets has it for unknown ones, is not annotated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from daguan.core.errors import ConfigError, DataError
from daguan.core.files import naming
from daguan.core.quantity import quantity
from daguan.core.types import Span
from daguan.data.format import shorten
from daguan.formats.document import Document
from daguan.formats.format import Format, Options, require_new
from daguan.formats.json_text import require
from daguan.formats.jsonl import token_ranges
from daguan.formats.tags import decode, encode, guess_scheme, is_tag

TOKENS = ("tokens", "words")
TAGS = ("ner_tags", "tags", "labels", "ner")
TEXT, OFFSETS, GROUP = "text", "offsets", "document"
UNKNOWN = -1  # the number of a tag that nobody knows


class Row(NamedTuple):
    """A row as it was read, with the kinds of its columns and the scheme of its tags."""

    values: dict[str, Any]
    features: Mapping[str, Any]
    scheme: str


def read(path: Path, options: Options) -> list[Document]:
    table = _load(path)
    tokens, tags = _column(table, TOKENS), _column(table, TAGS)
    if tokens is None:
        raise DataError(f"{path}: expected a column {' or '.join(TOKENS)}, got {', '.join(table.column_names)}")
    rows = [(f"{path}: row {number}", dict(row)) for number, row in enumerate(table, start=1)]
    names = _names(table, tags) if tags else None
    words = [_words(row[tokens], place) for place, row in rows]
    texts = [_texts(row.get(tags or ""), names, len(its), place) for (place, row), its in zip(rows, words, strict=True)]
    scheme = options.scheme or guess_scheme(one for one in texts if one is not None)
    return [
        _document(tokens, its, Row(row, table.features, scheme), place, options)
        for (place, row), tokens, its in zip(rows, words, texts, strict=True)
    ]


def _load(path: Path) -> Any:
    datasets = _library()
    try:
        table = datasets.load_from_disk(str(path))
    except (ValueError, OSError, KeyError, TypeError) as error:  # the last two: its JSON has other keys or values
        raise DataError(f"{path}: expected a folder that datasets saved, got: {shorten(str(error), 200)}") from None
    if not isinstance(table, datasets.Dataset):
        raise DataError(f"{path}: expected one split, got {', '.join(table)}")
    return table.with_format(None)  # without it, rows may be tensors


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise ConfigError("the format 'datasets' needs a library: pip install 'daguan[datasets]'") from None
    return datasets


def _column(table: Any, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table.column_names), None)


def _names(table: Any, column: str) -> list[str] | None:
    """Returns the names of tags that are numbers; None where tags are text."""
    feature = getattr(table.features[column], "feature", None)
    names: list[str] | None = getattr(feature, "names", None)
    return names


def _words(tokens: Any, place: str) -> tuple[str, ...]:
    """Returns the tokens of a row; numbers are read as text. Raises DataError: there are others, or none."""
    for token in require(tokens, list, "a list of tokens", place):
        if not isinstance(token, str):
            require(token, int, "tokens of text", place)
    return tuple(map(str, tokens))


def _texts(tags: Any, names: Sequence[str] | None, count: int, place: str) -> list[str] | None:
    """Returns the tags of a row with `count` tokens; None where it is not annotated. Raises DataError: other tags."""
    if tags is None:
        return None
    if len(require(tags, list, "a list of tags", place)) != count:
        raise DataError(f"{place}: expected {quantity(count, 'tag')}, got {len(tags)}")
    if names and tags and all(tag == UNKNOWN for tag in tags):
        return None
    return [_text(tag, names, place) for tag in tags]


def _text(tag: Any, names: Sequence[str] | None, place: str) -> str:
    text = tag
    if names and not isinstance(tag, str):
        known = f"a number of a tag from 0 to {len(names) - 1}"
        if not 0 <= require(tag, int, known, place) < len(names):
            raise DataError(f"{place}: expected {known}, got {tag}")
        text = names[tag]
    if not isinstance(text, str) or not is_tag(text):
        known = "a tag such as O or B-PER, or a number that has a name"
        raise DataError(f"{place}: expected {known}, got {shorten(str(text))}")
    return text


def _document(
    tokens: tuple[str, ...],
    tags: list[str] | None,
    source: Row,
    place: str,
    options: Options,
) -> Document:
    spans: tuple[Span, ...] | None = None
    if tags is not None:
        try:
            spans = decode(tags, source.scheme, lambda at, problem: options.repairs.make("tags", place, problem))
        except ValueError as error:
            raise DataError(f"{place}: {error}") from None
    row, text, its = source.values, None, None
    if row.get(OFFSETS) is not None:
        text = require(row.get(TEXT), str, f"a row with {TEXT!r}, as it has {OFFSETS!r}", place)
        its = token_ranges(row[OFFSETS], text, place)
    group = row.get(GROUP)
    group = str(group) if isinstance(group, str | int) else None
    try:
        return Document(tokens, spans, text, its, group, source, place)
    except ValueError as error:
        raise DataError(f"{place}: {error}") from None


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    require_new(path)
    datasets = _library()
    table = datasets.Dataset.from_list(*_rows(datasets, documents, options))
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".", suffix=".tmp") as temporary, naming(path), _silent(datasets):
        table.save_to_disk(f"{temporary}/saved")
        if path.exists():
            path.rmdir()  # empty, and in the way on some systems
        os.replace(f"{temporary}/saved", path)


def _rows(datasets: Any, documents: Sequence[Document], options: Options) -> tuple[list[dict[str, Any]], Any]:
    """Returns the rows of documents, and the features of their columns. The numbers of known tags stay."""
    first = next((document.source for document in documents if isinstance(document.source, Row)), None)
    features = dict(first.features) if first else {TOKENS[0]: datasets.List(datasets.Value("string"))}
    column = next((name for name in TAGS if name in features), TAGS[0])
    scheme = options.scheme or (first.scheme if first else "bio2")
    rows = [_row(document, column, scheme) for document in documents]
    its = {tag for row in rows for tag in row[column] or () if tag != UNKNOWN}
    if first is None or getattr(features.get(column), "feature", None) != datasets.Value("string"):
        known = getattr(getattr(features.get(column), "feature", None), "names", ["O"])
        features[column] = datasets.List(datasets.ClassLabel(names=[*known, *sorted(its - {*known})]))
    for name, feature in (
        (TEXT, datasets.Value("string")),
        (OFFSETS, datasets.List(datasets.List(datasets.Value("int64")))),
        (GROUP, datasets.Value("string")),
    ):
        if any(name in row for row in rows):
            features.setdefault(name, feature)
    return [{name: row.get(name) for name in features} for row in rows], datasets.Features(features)


def _row(document: Document, column: str, scheme: str) -> dict[str, Any]:
    tags = None if document.spans is None else encode(len(document.tokens), document.spans, scheme)
    if isinstance(document.source, Row):
        before = document.source.values
        return {**before, column: before.get(column) if tags is None else tags}
    its: dict[str, Any] = {TOKENS[0]: list(document.tokens), column: tags}
    if document.offsets is not None:
        its |= {TEXT: document.text, OFFSETS: [list(one) for one in document.offsets]}
    return its if document.group is None else its | {GROUP: document.group}


@contextmanager
def _silent(datasets: Any) -> Iterator[None]:
    """Inside, datasets draws no bars of its own."""
    if datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


FORMAT = Format(read, write)
