"""JSONL files with offsets of characters, a record a line, as doccano exports them.

The entities of a record are under one of KEYS: `[start, stop, label]` each, or an object with these three (doccano with
relations, Prodigy). A record without such a key is not annotated. Other keys are kept; `tokens`, where it is there,
holds the ranges of tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from daguan.core.errors import DataError
from daguan.data.format import iter_lines, shorten, write_lines
from daguan.formats.document import Document, Offsets, tokenise
from daguan.formats.format import Format, Options
from daguan.formats.json_text import parse, require
from daguan.formats.marked_text import marked_document
from daguan.formats.repairs import Marked

TEXT, GROUP, TOKENS = "text", "document", "tokens"
KEYS = ("label", "labels", "entities", "spans")
NAMES = (("start", "end", "label"), ("start_offset", "end_offset", "label"))


class Record(NamedTuple):
    """A record as it was read."""

    values: dict[str, Any]


def read(path: Path, options: Options) -> list[Document]:
    lines = [(f"{path}:{number}", line) for number, line in iter_lines(path) if line.strip()]
    return [_document(require(parse(line, place), dict, "an object", place), place, options) for place, line in lines]


def _document(record: dict[str, Any], place: str, options: Options) -> Document:
    text = require(record.get(TEXT), str, f"a record with {TEXT!r}", place)
    keys = [key for key in KEYS if isinstance(record.get(key), list)]
    if len(keys) > 1:
        raise DataError(f"{place}: expected entities under one of {', '.join(KEYS)}, got {' and '.join(keys)}")
    if not keys and (other := next((key for key in KEYS if record.get(key) is not None), None)):
        raise DataError(f"{place}: expected a list of entities under {other!r}, got {shorten(str(record[other]))}")
    marked = [_marked(entity, place) for entity in record[keys[0]]] if keys else None
    group = record.get(GROUP)
    return marked_document(
        text,
        marked,
        options,
        place=place,
        offsets=token_ranges(record[TOKENS], text, place) if TOKENS in record else None,
        group=group if isinstance(group, str) else None,
        source=Record(record),
    )


def _marked(entity: Any, place: str) -> Marked:
    expected = 'an entity such as [0, 5, "PER"]'
    values = entity
    if isinstance(entity, dict):
        names = next((names for names in NAMES if names[0] in entity), NAMES[0])
        values = [entity.get(name) for name in names]
    if not isinstance(values, list) or len(values) != 3:
        raise DataError(f"{place}: expected {expected}, got {shorten(json.dumps(entity, ensure_ascii=False))}")
    start, stop = (require(value, int, expected, place) for value in values[:2])
    return Marked(start, stop, require(values[2], str, expected, place), place)


def token_ranges(given: Any, text: str, place: str) -> Offsets:
    """Returns the ranges of tokens that a record gives: `[start, stop]` each, or objects as Prodigy's. Raises
    DataError: they are not in order, or outside the text."""
    expected = "tokens such as [0, 5], in order and within the text"
    ranges, reached = [], 0
    for one in require(given, list, expected, place):
        values = [one.get("start"), one.get("end")] if isinstance(one, dict) else one
        if not isinstance(values, list) or len(values) != 2:
            raise DataError(f"{place}: expected {expected}, got {shorten(json.dumps(one))}")
        start, stop = (require(value, int, expected, place) for value in values)
        if not reached <= start < stop <= len(text):
            raise DataError(f"{place}: expected {expected}, got {shorten(json.dumps(one))}")
        ranges.append((start, stop))
        reached = stop
    return tuple(ranges)


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    records = [_record(document.located(), options) for document in documents]
    write_lines(path, [*(json.dumps(record, ensure_ascii=False) for record in records), ""])


def _record(document: Document, options: Options) -> dict[str, Any]:
    entities = document.entities()
    if not isinstance(document.source, Record):
        labels = {} if document.spans is None else {KEYS[0]: [list(entity) for entity in entities]}
        return {TEXT: document.text} | labels | extras(document, options)
    record = dict(document.source.values)
    key = next((key for key in KEYS if isinstance(record.get(key), list)), KEYS[0])
    if document.spans is not None:
        record[key] = [_like(record.get(key) or [], *entity) for entity in entities]
    return record


def _like(examples: list[Any], start: int, stop: int, label: str) -> Any:
    """Returns an entity in the shape of examples. It keeps all that the example of the same range has."""
    objects = [one for one in examples if isinstance(one, dict)]
    if not objects:
        return [start, stop, label]
    names = next((names for names in NAMES if names[0] in objects[0]), NAMES[0])
    same = next((one for one in objects if (one.get(names[0]), one.get(names[1])) == (start, stop)), {})
    return same | dict(zip(names, (start, stop, label), strict=True))


def extras(document: Document, options: Options) -> dict[str, Any]:
    """Returns the group of a document, and the ranges of its tokens where `tokenise` gives others."""
    assert document.text is not None
    group = {} if document.group is None else {GROUP: document.group}
    same = document.offsets == tokenise(document.text, options.tokens)
    return group if same else group | {TOKENS: [list(one) for one in document.offsets or ()]}


FORMAT = Format(read, write)
