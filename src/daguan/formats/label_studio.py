"""Label Studio's JSON exports: a list of tasks, whole (`annotations`) or short (JSON-MIN).

A result of type `labels` marks an entity; other results are kept. Offsets count characters, or UTF-16 units as some
versions do; the text that is repeated in each result tells which. A task without annotations is not annotated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from daguan.core.errors import DataError
from daguan.core.files import write_text
from daguan.data.format import shorten
from daguan.formats.document import Document
from daguan.formats.format import Format, Options
from daguan.formats.json_text import parse, read_all, require
from daguan.formats.jsonl import GROUP, TEXT, TOKENS, extras, token_ranges
from daguan.formats.marked_text import marked_document
from daguan.formats.repairs import Marked

KIND = "labels"
SHORT = "label"  # where JSON-MIN has its entities
BLANK = re.compile(r"\\n|\s+")  # a repeated text has line breaks spelt out


class Task(NamedTuple):
    """A task as it was read."""

    values: dict[str, Any]


def read(path: Path, options: Options) -> list[Document]:
    tasks = require(parse(read_all(path).removeprefix("\ufeff"), str(path)), list, "a list of tasks", str(path))
    return [_document(task, f"{path}: task {number}", options) for number, task in enumerate(tasks, start=1)]


def _document(task: Any, place: str, options: Options) -> Document:
    require(task, dict, "a task", place)
    data = require(task.get("data", task), dict, "a task with 'data'", place)
    text = require(data.get(TEXT), str, f"a task with {TEXT!r}", place)
    results = _results(task, place, options)
    group = data.get(GROUP)
    return marked_document(
        text,
        None if results is None else _marked(results, text, place),
        options,
        place=place,
        offsets=token_ranges(data[TOKENS], text, place) if TOKENS in data else None,
        group=group if isinstance(group, str) else None,
        source=Task(task),
    )


def _results(task: dict[str, Any], place: str, options: Options) -> list[Any] | None:
    """Returns the results of a task's annotation, each as its value; None without one."""
    if "data" not in task:
        short = task.get(SHORT)
        return None if short is None else require(short, list, "a list of entities", place)
    given = require(task.get("annotations", []), list, "a list of annotations", place)
    annotations = [one for one in given if _counts(require(one, dict, "an annotation", place))]
    if len(annotations) > 1:
        options.repairs.make("annotators", place, f"expected one annotation, got {len(annotations)}")
    if not annotations:
        return None
    results = require(annotations[-1].get("result"), list, "an annotation with 'result'", place)
    return [result.get("value") for result in results if _is_entity(result)]


def _counts(annotation: dict[str, Any]) -> bool:
    return not annotation.get("was_cancelled")


def _is_entity(result: Any) -> bool:
    return isinstance(result, dict) and result.get("type") == KIND


def _marked(values: Sequence[Any], text: str, place: str) -> list[Marked]:
    """Returns the entities of results; one with several labels is several. Raises DataError: the texts that they repeat
    are elsewhere."""
    expected = "an entity with start, end and labels"
    found = []
    for value in values:
        require(value, dict, expected, place)
        start, stop = (require(value.get(name), int, expected, place) for name in ("start", "end"))
        labels = require(value.get(KIND), list, expected, place)
        repeated = value.get(TEXT)
        found += [(start, stop, require(label, str, expected, place), repeated) for label in labels]
    for ranges in ([(start, stop) for start, stop, *_ in found], _from_units(text, found)):
        if all(_holds(text, *at, one[3]) for at, one in zip(ranges, found, strict=True)):
            return [Marked(*at, one[2], place) for at, one in zip(ranges, found, strict=True)]
    start, stop, _, repeated = next(one for one in found if not _holds(text, one[0], one[1], one[3]))
    raise DataError(f"{place}: expected {shorten(str(repeated))} at {start}, got {shorten(text[start:stop])}")


def _from_units(text: str, found: Sequence[tuple[int, int, str, Any]]) -> list[tuple[int, int]]:
    """Returns ranges of UTF-16 units as ranges of characters."""
    characters = [place for place, one in enumerate(text) for _ in range(2 if one > "\uffff" else 1)] + [len(text)]
    last = len(characters) - 1
    return [(characters[min(max(start, 0), last)], characters[min(max(stop, 0), last)]) for start, stop, *_ in found]


def _holds(text: str, start: int, stop: int, repeated: Any) -> bool:
    """Returns whether a range holds the text that a result repeats, if it does, but for white space."""
    return not isinstance(repeated, str) or BLANK.sub("", text[start:stop]) == BLANK.sub("", repeated)


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    tasks = [_task(document.located(), options) for document in documents]
    write_text(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")


def _task(document: Document, options: Options) -> dict[str, Any]:
    text = document.text
    assert text is not None
    values = [
        {"start": start, "end": stop, TEXT: text[start:stop], KIND: [label]}
        for start, stop, label in document.entities()
    ]
    its: dict[str, Any] = {"data": {TEXT: text} | extras(document, options)}
    if isinstance(document.source, Task):
        its = document.source.values
    if document.spans is None:
        return its
    if "data" not in its:
        return its | {SHORT: values}
    annotations = [one for one in its.get("annotations") or () if _counts(one)]
    annotation: dict[str, Any] = annotations[-1] if annotations else {}
    before = annotation.get("result", [])
    example = next((result for result in before if _is_entity(result)), {"from_name": "label", "to_name": TEXT})
    names = {name: example[name] for name in ("from_name", "to_name") if name in example}
    results = [{"id": f"e{n}", **names, "type": KIND, "value": value} for n, value in enumerate(values, start=1)]
    others = [result for result in before if not _is_entity(result)]
    return its | {"annotations": [annotation | {"was_cancelled": False, "result": [*results, *others]}]}


FORMAT = Format(read, write)
