"""Label Studio's JSON exports: a list of tasks, whole (`annotations`) or short (JSON-MIN).

A result of type `labels` marks an entity. Offsets count characters, or UTF-16 units as some versions do; the text that
is repeated in each result tells which. A task without annotations is not annotated.

What is written is the task that was read, with its other annotations. An entity of the same tokens keeps its result;
with one that is gone go its relations and all that is said of its region (results with its id).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from daguan.core.errors import DataError
from daguan.core.files import write_text
from daguan.data.format import shorten
from daguan.formats.document import Document
from daguan.formats.format import Format, Options
from daguan.formats.json_text import parse, read_all, require
from daguan.formats.jsonl import GROUP, TEXT, TOKENS, extras, token_ranges
from daguan.formats.marked_text import followed, marked_document
from daguan.formats.repairs import Marked

KIND = "labels"
SHORT = "label"  # where JSON-MIN has its entities
REFERENCES = ("id", "from_id", "to_id")  # of a result's own region, and of those that a relation joins
PARENT = "parentID"  # the region that another is in
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
    """Returns the entities of results; one with several labels is several. Raises DataError: as `_ranges`."""
    ranges = _ranges(values, text, place)
    return [Marked(*at, label, place) for at, value in zip(ranges, values, strict=True) for label in value[KIND]]


def _ranges(values: Sequence[Any], text: str, place: str) -> list[tuple[int, int]]:
    """Returns the ranges of characters of results. Raises DataError: no such values, or the texts that they repeat are
    elsewhere."""
    expected = "an entity with start, end and labels"
    given = []
    for value in values:
        require(value, dict, expected, place)
        start, stop = (require(value.get(name), int, expected, place) for name in ("start", "end"))
        given.append((start, stop))
        for label in require(value.get(KIND), list, expected, place):
            require(label, str, expected, place)
    repeated = [value.get(TEXT) if value[KIND] else None for value in values]
    for ranges in (given, _from_units(text, given)):
        if all(_holds(text, *at, one) for at, one in zip(ranges, repeated, strict=True)):
            return ranges
    (start, stop), one = next(pair for pair in zip(given, repeated, strict=True) if not _holds(text, *pair[0], pair[1]))
    raise DataError(f"{place}: expected {shorten(str(one))} at {start}, got {shorten(text[start:stop])}")


def _from_units(text: str, found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns ranges of UTF-16 units as ranges of characters."""
    characters = [place for place, one in enumerate(text) for _ in range(2 if one > "\uffff" else 1)] + [len(text)]
    last = len(characters) - 1
    return [(characters[min(max(start, 0), last)], characters[min(max(stop, 0), last)]) for start, stop in found]


def _holds(text: str, start: int, stop: int, repeated: Any) -> bool:
    """Returns whether a range holds the text that a result repeats, if it does, but for white space."""
    return not isinstance(repeated, str) or BLANK.sub("", text[start:stop]) == BLANK.sub("", repeated)


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    tasks = [_task(document.located(), options) for document in documents]
    write_text(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")


def _task(document: Document, options: Options) -> dict[str, Any]:
    text = document.text
    assert text is not None
    its: dict[str, Any] = {"data": {TEXT: text} | extras(document, options)}
    if isinstance(document.source, Task):
        its = document.source.values
    if document.spans is None:
        return its
    if "data" not in its:
        short = [{"type": KIND, "value": value} for value in its.get(SHORT) or ()]
        return its | {SHORT: [result["value"] for result in _rewritten(short, document)]}
    annotations = [*(its.get("annotations") or ())]
    number = max((number for number, one in enumerate(annotations) if _counts(one)), default=len(annotations))
    annotation: dict[str, Any] = {"was_cancelled": False, "result": []}
    annotation = annotations[number] if number < len(annotations) else annotation
    annotations[number : number + 1] = [annotation | {"result": _rewritten(annotation["result"], document)}]
    return its | {"annotations": annotations}


def _rewritten(results: Sequence[Any], document: Document) -> list[Any]:
    """Returns results with the entities of a document; new ones come last."""
    text = document.text or ""
    entities = {n: result["value"] for n, result in enumerate(results) if _is_entity(result) and result["value"][KIND]}
    ranges = _ranges([*entities.values()], text, document.place)
    given = [*zip(ranges, entities.values(), strict=True)]
    found, new = followed([Marked(*at, value[KIND][0], document.place) for at, value in given], document)
    in_units = any((value["start"], value["end"]) != at for at, value in given)
    kept = [(value, now) for (_, value), now in zip(given, found, strict=True) if now]
    values = iter(_values([*kept, *(({}, now) for now in new)], text, in_units))
    stays = {n: now is not None for n, now in zip(entities, found, strict=True)}
    gone = _ids(results[n] for n in stays if not stays[n]) - _ids(results[n] for n in stays if stays[n])
    written = []
    for number, result in enumerate(results):
        if not stays.get(number, not _ids([result], *REFERENCES) & gone):
            continue
        one = result | {"value": next(values)} if number in stays else result
        lost = _ids([one], PARENT) & gone
        written.append({key: value for key, value in one.items() if key != PARENT} if lost else one)
    example = next((result for result in results if _is_entity(result)), {"from_name": "label", "to_name": TEXT})
    names = {name: example[name] for name in ("from_name", "to_name") if name in example}
    taken = _ids(results, *REFERENCES, PARENT)
    free = (name for number in count(1) if (name := f"e{number}") not in taken)
    return written + [{"id": next(free), **names, "type": KIND, "value": value} for value in values]


def _ids(results: Iterable[Any], *keys: str) -> set[str]:
    """Returns the ids of results, or those under other keys of them."""
    objects = [result for result in results if isinstance(result, dict)]
    return {str(one[key]) for one in objects for key in keys or ("id",) if one.get(key) is not None}


def _values(entities: Sequence[tuple[dict[str, Any], Marked]], text: str, in_units: bool) -> list[dict[str, Any]]:
    """Returns the values of entities, each given as its value before and what it is now.

    Their ranges count units only where a reader finds this by their texts, and else characters.
    """
    values = [_value(before, now, text, in_units) for before, now in entities]
    if in_units and _ranges(values, text, "") != [now[:2] for _, now in entities]:
        return _values(entities, text, False)
    return values


def _value(before: dict[str, Any], now: Marked, text: str, in_units: bool) -> dict[str, Any]:
    """Returns the value of an entity; what it had before stays where it is still true."""
    start, stop = (_units(text, place) if in_units else place for place in now[:2])
    same = before and _holds(text, now.start, now.stop, before.get(TEXT))
    labels = before[KIND] if {*before.get(KIND, ())} == {now.label} else [now.label]
    repeated = {} if same else {TEXT: text[now.start : now.stop]}
    return before | {"start": start, "end": stop} | repeated | {KIND: labels}


def _units(text: str, place: int) -> int:
    return len(text[:place].encode("utf-16-le")) // 2


FORMAT = Format(read, write)
