"""The formats by name, and which of them a path is in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daguan.core.errors import ConfigError, DataError
from daguan.core.tables import Row
from daguan.data.format import iter_lines
from daguan.formats.contest_lines import can_hold, is_labelled
from daguan.formats.format import Format
from daguan.formats.tags import is_tag


@dataclass(frozen=True)
class FormatRow(Row):
    """One format.

    Attributes:
        endings: of names, by which a format is guessed; the first is written.
        is_folder: whether it is a folder, not a file.
        written_as: the format in which labels of such a source are written; empty: the same.
    """

    endings: tuple[str, ...] = ()
    is_folder: bool = False
    written_as: str = ""

    def load(self) -> Format:
        found: Format = super().load()
        return found


CONTEST = "contest"
FORMATS = {
    "conll": FormatRow(
        "daguan.formats.conll:FORMAT",
        endings=(".conll", ".tsv", ".iob", ".iob2", ".bio", ".bio2", ".bioes", ".bilou", ".bmes", ".conllu"),
        about="CoNLL: a token a line, in any columns, as BIO, BIO2, BIOES, BILOU or BMES",
    ),
    "jsonl": FormatRow(
        "daguan.formats.jsonl:FORMAT", endings=(".jsonl",), about="JSONL with offsets, as of doccano or Prodigy"
    ),
    "label-studio": FormatRow(
        "daguan.formats.label_studio:FORMAT", endings=(".json",), about="JSON or JSON-MIN of Label Studio"
    ),
    "brat": FormatRow("daguan.formats.brat:FORMAT", is_folder=True, about="a folder of brat standoff files"),
    "datasets": FormatRow(
        "daguan.formats.hugging_face:FORMAT", is_folder=True, about="a folder saved by Hugging Face's datasets"
    ),
    "spacy": FormatRow("daguan.formats.docbin:FORMAT", endings=(".spacy",), about="spaCy's DocBin"),
    CONTEST: FormatRow("daguan.formats.contest_lines:FORMAT", about="lines as 7_8/a  9/o"),
    "text": FormatRow("daguan.formats.text:FORMAT", written_as="jsonl", about="plain text, which is only read"),
}
SAVED = ("state.json", "dataset_info.json")  # in a folder of datasets
BY_ENDING = {ending: name for name, row in FORMATS.items() for ending in row.endings}


def format_of(name: str) -> Format:
    """Returns the format of that name. Raises ConfigError: there is none."""
    if name not in FORMATS:
        raise ConfigError(f"--format: expected {' or '.join(FORMATS)}, got {name!r}")
    return FORMATS[name].load()


def guess(path: Path) -> str:
    """Returns the name of the format that a file or a folder is in. Raises DataError: nothing there, or no format."""
    if (found := find_format(path)) is None:
        expected = "expected data in a format that is known by its name or content"
        raise DataError(f"{path}: {expected}, got others; --format: {', '.join(FORMATS)}")
    return found


def find_format(path: Path) -> str | None:
    """Returns the name of the format that a file or a folder is in; None for no known one, or a pipe, which can be read
    only once. Raises DataError: nothing there, or no text."""
    ending = path.suffix.lower()
    if path.is_dir():
        return _of_folder(path)
    if ending in BY_ENDING and ending != ".json":  # which JSON Lines often end in too
        return BY_ENDING[ending]
    if path.exists() and not path.is_file():
        return None
    return _of_content(path)


def guess_new(path: Path, source: str) -> str:
    """Returns the format that the name of a file to write asks for; where it asks for none, the one in which labels of
    a source in the format `source` are written."""
    return BY_ENDING.get(path.suffix.lower()) or FORMATS[source].written_as or source


def _of_folder(path: Path) -> str | None:
    if all((path / name).is_file() for name in SAVED):
        return "datasets"
    if any(path.rglob("*.ann")):
        return "brat"
    return None


def _of_content(path: Path) -> str | None:
    """Returns the format of a file whose name says nothing, by its first line with text."""
    first = next((line for _, line in iter_lines(path) if line.strip()), "")
    if is_labelled(path):
        return CONTEST
    if first.startswith(("{", "[")):
        if path.suffix.lower() != ".json" and _is_bracketed_contest(path, first):
            return CONTEST
        return "jsonl" if first.startswith("{") else "label-studio"
    in_columns = any(is_tag(cell) for cell in first.split()[1:])
    return "conll" if in_columns or first.startswith(("# ", "-DOCSTART-")) else None


def _is_bracketed_contest(path: Path, first: str) -> bool:
    """Returns whether a first line with text that begins as JSON does is an unlabelled line of the contest: it is no
    JSON of ours, and where it may begin a JSON text of several lines, these are the contest's and are not that text."""
    if not can_hold(first):
        return False
    try:
        return not _is_ours(json.loads(first))
    except json.JSONDecodeError as error:
        if error.pos < len(first):
            return True
    except (ValueError, RecursionError):  # a number too long, brackets too deep: for the reader to refuse
        return False
    lines = [line for _, line in iter_lines(path)]
    try:
        return not _is_ours(json.loads("\n".join(lines)))
    except (ValueError, RecursionError):
        return all(map(can_hold, lines))


def _is_ours(value: Any) -> bool:
    """Returns whether a value of JSON is a record or a list of them, and not a token in brackets such as `[7]`."""
    return isinstance(value, dict) or (isinstance(value, list) and all(isinstance(one, dict) for one in value))
