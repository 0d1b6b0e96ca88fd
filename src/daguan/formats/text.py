"""Plain text: a file is a document, and each of its lines is a line. It is only read, as it cannot hold labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daguan.core.errors import ConfigError, DataError
from daguan.formats.document import Document
from daguan.formats.format import Format, Options
from daguan.formats.json_text import read_all
from daguan.formats.marked_text import marked_document


def read(path: Path, options: Options) -> list[Document]:
    document = marked_document(read_all(path), None, options, place=str(path))
    if not document.tokens:
        raise DataError(f"{path}: expected a text, got nothing but white space")
    return [document]


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    raise ConfigError(f"{path}: expected a format that can hold labels, got plain text; name another by --format")


FORMAT = Format(read, write)
