"""Writes files atomically, reads JSON, and computes SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from daguan.core.errors import CheckpointError, WriteError

TEMPORARY = ".*.tmp"  # left by a kill during `write_atomic`


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` on a temporary neighbour of `path`, then renames it: a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turns errors of writing inside the context into WriteErrors that name the path.

    A full disk's own error does not name it, and in the middle of a tensor the error is safetensors'.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise WriteError(f"{path}: expected to write here, got: {error}") from None


def write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file. Raises CheckpointError: no such file, or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: expected a file, got nothing at that path") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: expected JSON, got: {error}; the file is damaged") from None


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_json(value: Any) -> str:
    """Returns a hash of anything JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
