"""Folders of brat: NAME.txt holds a text, NAME.ann beside it the entities, one a line: `T1<TAB>PER 0 5<TAB>Smith`.

Offsets count characters. Lines of relations, events and notes are skipped. A text without .ann is not annotated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.files import write_text
from daguan.data.format import iter_lines, shorten
from daguan.formats.document import Document
from daguan.formats.format import Format, Options, require_new
from daguan.formats.json_text import read_all
from daguan.formats.marked_text import marked_document
from daguan.formats.repairs import Marked

TEXT, ANNOTATION = ".txt", ".ann"
RANGE = "[0-9]{1,18} [0-9]{1,18}"
ENTITY = re.compile(rf"T\S+\t(\S+) ({RANGE}(?:;{RANGE})*)\t(.*)")
LABEL = re.compile(r"[^\s;|]+")
BREAK = re.compile(r"[\n\r]+")


def read(path: Path, options: Options) -> list[Document]:
    files = sorted(path.rglob(f"*{TEXT}"))
    if not files:
        raise DataError(f"{path}: expected a folder with files *{TEXT} and *{ANNOTATION}, got none")
    return [_document(file, file.relative_to(path).with_suffix("").as_posix(), options) for file in files]


def _document(file: Path, name: str, options: Options) -> Document:
    annotation, text = file.with_suffix(ANNOTATION), read_all(file)
    marked = list(_marked(annotation, text, options)) if annotation.is_file() else None
    return marked_document(text, marked, options, place=str(file), group=name)


def _marked(path: Path, text: str, options: Options) -> Iterator[Marked]:
    for number, line in iter_lines(path) if path.stat().st_size else ():
        place = f"{path}:{number}"
        if not line.startswith("T"):
            continue
        if not (found := ENTITY.fullmatch(line)):
            raise DataError(f"{place}: expected an entity such as T1<TAB>PER 0 5<TAB>Smith, got {shorten(line)}")
        label, ranges, repeated = found.groups()
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
        yield Marked(start, stop, label, place)


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
            texts[path / f"{name}{ANNOTATION}"] = "".join(_lines(document.located()))
    for file, text in texts.items():
        write_text(file, text)


def _is_name(group: str) -> bool:
    """Returns whether a group can be the name of a file inside the folder."""
    parts = group.split("/")
    return all(part.strip(". ") and re.fullmatch(r"[\w.,()+ -]+", part) for part in parts)


def _lines(document: Document) -> Iterator[str]:
    """Yields the line of each entity; a line break inside parts it, as in brat. Raises DataError: no label of brat."""
    assert document.text is not None
    for number, (start, stop, label) in enumerate(document.entities(), start=1):
        if not LABEL.fullmatch(label):
            raise DataError(f"{document.place}: expected labels without white space, got {shorten(label)}")
        parts, reached = [], start
        for found in BREAK.finditer(document.text, start, stop):
            parts.append((reached, found.start()))
            reached = found.end()
        parts.append((reached, stop))
        ranges = ";".join(f"{first} {last}" for first, last in parts)
        yield f"T{number}\t{label} {ranges}\t{' '.join(document.text[first:last] for first, last in parts)}\n"


FORMAT = Format(read, write)
