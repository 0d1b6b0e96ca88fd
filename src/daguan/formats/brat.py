"""Folders of brat: NAME.txt holds a text, NAME.ann beside it the entities, one a line: `T1<TAB>PER 0 5<TAB>Smith`.

Offsets count characters. A text without .ann is not annotated. What is written are the lines that were read: an entity
of the same tokens keeps its line and its name. Lines of relations, events, attributes and notes stay as they are, but
for those that refer to an entity that is gone, or to a line that went for this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

from daguan.core.errors import DataError
from daguan.core.files import write_text
from daguan.data.format import shorten
from daguan.formats.document import Document
from daguan.formats.format import Format, Options, require_new
from daguan.formats.json_text import read_all
from daguan.formats.marked_text import followed, marked_document
from daguan.formats.repairs import Marked

TEXT, ANNOTATION = ".txt", ".ann"
RANGE = "[0-9]{1,18} [0-9]{1,18}"
ENTITY = re.compile(rf"(T\S+)\t(\S+) ({RANGE}(?:;{RANGE})*)\t(.*)")
LABEL = re.compile(r"[^\s;|]+")
BREAK = re.compile(r"[\n\r]+")
ARGUMENTS = {"E": 0, "R": 1, "*": 1}  # from which word on all refer to others; in other lines only the second does


class Annotation(NamedTuple):
    """An .ann file as it was read, but for entities whose parts were joined.

    Attributes:
        lines: with their ends, counted from 1; before them is the byte order mark, if there is one.
        entities: by the numbers of their lines.
    """

    lines: tuple[str, ...]
    entities: dict[int, Marked]


def read(path: Path, options: Options) -> list[Document]:
    files = sorted(path.rglob(f"*{TEXT}"))
    if not files:
        raise DataError(f"{path}: expected a folder with files *{TEXT} and *{ANNOTATION}, got none")
    return [_document(file, file.relative_to(path).with_suffix("").as_posix(), options) for file in files]


def _document(file: Path, name: str, options: Options) -> Document:
    annotation, text = file.with_suffix(ANNOTATION), read_all(file)
    source = _annotation(annotation, text, options) if annotation.is_file() else None
    marked = None if source is None else source.entities.values()
    return marked_document(text, marked, options, place=str(file), group=name, source=source)


def _annotation(path: Path, text: str, options: Options) -> Annotation:
    content = read_all(path)
    mark = content[: content.startswith("\ufeff")]
    lines, entities = [mark, *re.split(r"(?<=\n)", content[len(mark) :])], {}
    for number, whole in enumerate(lines):
        place, line = f"{path}:{number}", whole.removesuffix("\n").removesuffix("\r")
        if not line.startswith("T"):
            continue
        if not (found := ENTITY.fullmatch(line)):
            raise DataError(f"{place}: expected an entity such as T1<TAB>PER 0 5<TAB>Smith, got {shorten(line)}")
        name, label, ranges, repeated = found.groups()
        parts = [tuple(map(int, part.split(" "))) for part in ranges.split(";")]
        start, stop = parts[0][0], parts[-1][1]
        there = " ".join(text[first:last] for first, last in parts)
        if "".join(there.split()) != "".join(repeated.split()):
            expected = f"expected {shorten(repeated)} at {ranges}"
            raise DataError(f"{place}: {expected}, got {shorten(there)}; offsets count characters, not bytes")
        between = [text[last:first] for (_, last), (first, _) in pairwise(parts)]
        if any(gap.strip() for gap in between) or parts != sorted(parts):
            problem = f"expected an entity of one part, got {ranges}"
            options.repairs.make("fragments", place, problem)
            start, stop = min(first for first, _ in parts), max(last for _, last in parts)
            joined = _ranges(start, stop, text)
            lines[number] = f"{name}\t{label} {joined}{whole[len(line) :]}"
        entities[number] = Marked(start, stop, label, place)
    return Annotation(tuple(lines), entities)


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    """Writes two files for each document, named by its group, or numbered where groups are no names of their own."""
    require_new(path)
    groups = [document.group for document in documents]
    named = len({*groups}) == len(groups) and all(group and _is_name(group) for group in groups)
    width = len(str(len(groups)))
    texts = {}
    for number, document in enumerate(documents, start=1):
        name = document.group if named and document.group else f"{number:0{width}}"
        texts[path / f"{name}{TEXT}"] = document.located().text or ""
        if document.spans is not None:
            texts[path / f"{name}{ANNOTATION}"] = _content(document.located())
    for file, text in texts.items():
        write_text(file, text)


def _is_name(group: str) -> bool:
    """Returns whether a group can be the name of a file inside the folder."""
    parts = group.split("/")
    return all(part.strip(". ") and re.fullmatch(r"[\w.,()+ -]+", part) for part in parts)


def _content(document: Document) -> str:
    """Returns the .ann file of a document: the lines of its source, if it has one, and those of new entities.

    Raises:
        DataError: a label that brat cannot hold.
    """
    lines, entities = document.source if isinstance(document.source, Annotation) else Annotation((), {})
    found, new = followed([*entities.values()], document)
    now = dict(zip(entities, found, strict=True))
    gone = _gone(lines, now)
    written = ""
    for number, line in enumerate(lines):
        if number in now:
            written += _changed(line, entities[number], now[number], document)
        elif not _references(line) & gone:
            written += line
    end = "\r\n" if any(line.endswith("\r\n") for line in lines) else "\n"
    if new and written.strip("\ufeff") and not written.endswith("\n"):
        written += end
    taken = {name for line in lines for name in (_name(line), *_references(line))}
    free = (name for number in count(1) if (name := f"T{number}") not in taken)
    return written + "".join(_line(next(free), entity, document) + end for entity in new)


def _gone(lines: Sequence[str], now: dict[int, Marked | None]) -> set[str]:
    """Returns the names of entities that are gone, of what refers to them, of what refers to that, and so on."""
    gone = {_name(lines[number]) for number, entity in now.items() if entity is None}
    gone -= {_name(lines[number]) for number, entity in now.items() if entity is not None}
    others = [(_name(line), _references(line)) for number, line in enumerate(lines) if number not in now]
    while more := {name for name, references in others if references & gone} - gone:
        gone |= more
    return gone


def _name(line: str) -> str:
    return line.partition("\t")[0]


def _references(line: str) -> set[str]:
    """Returns the names that a line refers to."""
    words = line.partition("\t")[2].partition("\t")[0].split()
    first, last = (ARGUMENTS[line[0]], None) if line[:1] in ARGUMENTS else (1, 2)
    return {word.rpartition(":")[2] for word in words[first:last]}


def _changed(line: str, before: Marked, now: Marked | None, document: Document) -> str:
    """Returns the line of an entity as it is now; nothing if it is gone."""
    if now is None or now == before:
        return "" if now is None else line
    if now[:2] != before[:2]:
        return _line(_name(line), now, document) + line[len(line.rstrip("\r\n")) :]
    return line.replace(f"\t{before.label} ", f"\t{_checked(now.label, document)} ", 1)


def _line(name: str, entity: Marked, document: Document) -> str:
    """Returns the line of an entity without its line end."""
    assert document.text is not None
    return f"{name}\t{_checked(entity.label, document)} {_ranges(entity.start, entity.stop, document.text)}"


def _ranges(start: int, stop: int, text: str) -> str:
    """Returns the end of an entity's line: its ranges, which line breaks part as in brat, and their texts."""
    parts, reached = [], start
    for found in BREAK.finditer(text, start, stop):
        parts.append((reached, found.start()))
        reached = found.end()
    parts.append((reached, stop))
    ranges = ";".join(f"{first} {last}" for first, last in parts)
    return f"{ranges}\t{' '.join(text[first:last] for first, last in parts)}"


def _checked(label: str, document: Document) -> str:
    if not LABEL.fullmatch(label):
        raise DataError(f"{document.place}: expected labels without white space, got {shorten(label)}")
    return label


FORMAT = Format(read, write)
