"""Reads JSON strictly: each key once, and no text that UTF-8 cannot hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from daguan.core.errors import DataError
from daguan.data.format import STANDARD, shorten


def parse(text: str, place: str) -> Any:
    """Returns the value of a JSON text. Raises DataError: not JSON, a key twice in one object, half a character."""
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: expected JSON, got {shorten(text)}: {error.msg} (character {error.pos})") from None
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: expected whole characters, got half of one: {error.object[error.start]!a}") from None
    except RecursionError:
        raise DataError(f"{place}: expected JSON, got brackets that are nested too deeply") from None
    except _TwiceError as error:
        raise DataError(f"{place}: expected JSON with each key once, got {error}") from None
    except ValueError:
        raise DataError(f"{place}: expected JSON, got a number of too many digits") from None
    return value


class _TwiceError(ValueError):
    """A key is twice in one object."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(f"{next(key for key in keys if keys.count(key) > 1)!r} twice")
    return found


def require(value: Any, kind: type, name: str, place: str) -> Any:
    """Returns the value. Raises DataError: it is of another type; `True` is no number."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{place}: expected {name}, got {shorten(json.dumps(value, ensure_ascii=False, default=str))}")
    return value


def read_all(path: Path) -> str:
    """Returns the text of a file; the path `-` is standard input. Raises DataError: no file, or not UTF-8."""
    try:
        return (sys.stdin.buffer.read() if path == STANDARD else path.read_bytes()).decode()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{path}:{line}: expected UTF-8, got byte {error.object[error.start]:#04x}") from None
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, got: {error.strerror}") from None
