"""What a format can do, and how a file of it is read and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daguan.core.errors import ConfigError, DataError
from daguan.formats.document import TOKENS, Document
from daguan.formats.repairs import Repairs
from daguan.formats.tags import SCHEMES


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a file is read and written, for the formats that leave it open.

    Attributes:
        tokens: what is one token of a text without tokens: `words` or `characters`.
        token_column, tag_column: from 1, in CoNLL files; 0: found by what the columns hold.
        scheme: of the tags; empty: found by their letters, and bio2 in new files.
        repairs: what may be repaired, and what was.

    Raises:
        ConfigError: a value that no format knows.
    """

    tokens: str = TOKENS[0]
    token_column: int = 0
    tag_column: int = 0
    scheme: str = ""
    repairs: Repairs = field(default_factory=Repairs)

    def __post_init__(self) -> None:
        for name, value, known in (("tokens", self.tokens, TOKENS), ("scheme", self.scheme, ("", *SCHEMES))):
            if value not in known:
                raise ConfigError(f"--{name}: expected {' or '.join(filter(None, known))}, got {value!r}")
        for column in (self.token_column, self.tag_column):
            if column < 0:
                raise ConfigError(f"--token-column, --tag-column: expected 1 or more, got {column}")
        if self.token_column and self.token_column == self.tag_column:
            raise ConfigError(f"--token-column, --tag-column: expected two columns, got {self.tag_column} for both")


@dataclass(frozen=True)
class Format:
    """A reader and a writer.

    Attributes:
        read: returns the documents at a path. Raises DataError: they are not as the format says.
        write: writes documents to a path, whole or not at all. Raises DataError: the format cannot hold them.
    """

    read: Callable[[Path, Options], list[Document]]
    write: Callable[[Path, Sequence[Document], Options], None]


def require_new(folder: Path) -> None:
    """Raises DataError: something is in the folder, so that files of two writings would mix."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: expected a new or empty folder to write into, got something that is there")
