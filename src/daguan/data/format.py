"""Reads and writes the contest's file format. No other module knows it.

A labelled line is segments joined by exactly two spaces; a segment is tokens joined by `_`, then `/`, then a label; `o`
is "outside": `7_8/a  9/o  10/b`. An unlabelled line is tokens joined by `_`.

Reading is the same everywhere. Accepted, but never written: a byte-order mark at the start, CRLF line ends, a newline
at the end of the file, neighbouring `o` segments (read as one; only the gate refuses them). Refused with file and line:
bytes that are not UTF-8, blank lines, empty segments, empty tokens, white space of any kind inside a token, a
full-width `_`, an empty file. A token may hold `/`: the last one of a segment starts the label.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from sys import intern
from typing import TypeVar

from daguan.core.errors import DataError
from daguan.core.files import write_text
from daguan.core.types import Segment, Sentence

STANDARD = Path("-")  # standard input or output
OUTSIDE = "o"
SEGMENT_SEPARATOR = "  "
_TOKEN_SEPARATOR = "_"
LABEL_SEPARATOR = "/"
LABEL = re.compile(r"[a-z][a-z0-9]*")
BLANK = re.compile(r"[\s\u180e\u200b\u2060\ufeff]")  # every blank of Unicode, seen or unseen
LIKE_SEPARATOR = "\uff3f"  # a full-width `_`, as input methods type it

Parsed = TypeVar("Parsed")


def split_tokens(text: str) -> list[str]:
    """Returns the tokens of an unlabelled line, which is not checked."""
    return text.split(_TOKEN_SEPARATOR)


def join_tokens(tokens: Iterable[str]) -> str:
    return _TOKEN_SEPARATOR.join(tokens)


def parse_tokens(text: str) -> tuple[str, ...]:
    """Parses `7_8` as ("7", "8"). Raises ValueError: an empty token, or white space inside one."""
    if not text:
        raise ValueError("expected tokens joined by '_', got an empty line")
    if BLANK.search(text):
        raise ValueError(f"expected tokens without white space, joined by '_', got {shorten(text)}")
    if LIKE_SEPARATOR in text:
        raise ValueError(f"expected tokens joined by '_', got the full-width {LIKE_SEPARATOR!r} in {shorten(text)}")
    tokens = tuple(map(intern, split_tokens(text)))  # a repeated token costs 8 bytes, not 64
    if "" in tokens:
        raise ValueError(f"expected tokens joined by single '_', got an empty token in {shorten(text)}")
    return tokens


def parse_segments(line: str) -> list[Segment]:
    """Parses `7_8/a  9/o` as [(("7", "8"), "a"), (("9",), None)]. Raises ValueError: malformed segments."""
    if not line:
        raise ValueError("expected segments such as 7_8/a, got an empty line")
    return [_parse_segment(segment) for segment in line.split(SEGMENT_SEPARATOR)]


def _parse_segment(segment: str) -> Segment:
    text, slash, label = segment.rpartition(LABEL_SEPARATOR)
    if not segment or segment[0] == " ":
        raise ValueError(f"expected segments joined by exactly two spaces, got {shorten(segment)} after two")
    if not slash or not LABEL.fullmatch(label):
        raise ValueError(f"expected tokens/label with a lower-case label, got {shorten(segment)}")
    if not text:
        raise ValueError(f"expected tokens before '/{label}', got none")
    return parse_tokens(text), None if label == OUTSIDE else label


def parse_labelled(line: str) -> Sentence:
    """Parses a labelled line; neighbouring `o` segments need not be merged. Raises ValueError."""
    return Sentence.of(parse_segments(line))


def parse_unlabelled(line: str) -> Sentence:
    """Parses an unlabelled line. Raises ValueError."""
    return Sentence(parse_tokens(line))


def format_labelled(sentence: Sentence) -> str:
    """Returns the canonical line of an annotated sentence: `o` runs merged, entities in order."""
    return format_segments(sentence.segments)


def format_segments(segments: Iterable[Segment]) -> str:
    return SEGMENT_SEPARATOR.join(
        join_tokens(tokens) + LABEL_SEPARATOR + (label or OUTSIDE) for tokens, label in segments
    )


def format_unlabelled(sentence: Sentence) -> str:
    return join_tokens(sentence.tokens)


def read_labelled(path: Path) -> list[Sentence]:
    """Returns all sentences of a labelled file. Raises DataError naming file and line."""
    return list(_parse_all(path, parse_labelled))


def read_unlabelled(path: Path) -> list[Sentence]:
    """Returns all sentences of an unlabelled file. Raises DataError naming file and line."""
    return list(_parse_all(path, parse_unlabelled))


def iter_segments(path: Path) -> Iterator[list[Segment]]:
    """Yields the segments of each labelled line as they are written. Raises DataError naming file and line."""
    return _parse_all(path, parse_segments)


def iter_corpus(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, unlabelled line, not checked and perhaps blank). Raises DataError as `iter_lines`."""
    return iter_lines(path)


def count_sentences(path: Path) -> int:
    """Returns the number of sentences of a file, which are not checked. Raises DataError as `iter_lines`."""
    return sum(1 for _ in iter_lines(path))


def _parse_all(path: Path, parse: Callable[[str], Parsed]) -> Iterator[Parsed]:
    for number, line in iter_lines(path):
        try:
            yield parse(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None


def iter_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line without its end); the path `-` is standard input. Raises DataError: no file,
    empty, not UTF-8."""
    number = 0
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD else path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield number, _decode(raw, number)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: expected UTF-8, got byte {error.object[error.start]:#04x}") from None
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: expected a file, got nothing at that path") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file, got a directory") from None
    except PermissionError:
        raise DataError(f"{path}: expected a readable file, got no permission") from None
    if number == 0:
        raise DataError(f"{path}: expected at least one line, got an empty file")


def _decode(raw: bytes, number: int) -> str:
    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    return line.removesuffix("\n").removesuffix("\r")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes the lines atomically, LF between them and no newline at the end, as the contest does."""
    write_text(path, "\n".join(lines))


def shorten(text: str, limit: int = 40) -> str:
    """Returns the text quoted and cut to `limit` characters, for messages."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
