"""Writes files atomically, reads JSON, and computes SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError

from daguan.core.errors import CheckpointError, ConfigError, WriteError

TEMPORARY = ".*.daguan.tmp"  # left by a kill during `write_atomic`; the name is ours alone


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` on a temporary neighbour of `path`, then renames it: a reader sees the whole file or none.

    A link stays and its target is written; the file keeps its mode. A device or a pipe gets the bytes.
    """
    with naming(path):
        with suppress(FileNotFoundError):
            path.stat()  # which refuses a loop of links
        if (stream := _stream(path)) is None:
            _replace(real_path(path), write)
        else:
            _write_into(stream, write)


def _stream(path: Path) -> Path | int | None:
    """Returns what to open where a path cannot be replaced: a device, a pipe, or the number of an open file, to which
    /dev/stdout links. A folder counts, too; opening it fails. None for other paths."""
    while path.is_symlink():
        if real_path(path.parent) == Path(f"/proc/{os.getpid()}/fd"):
            return int(path.name)
        path = path.parent / path.readlink()
    return path if path.exists() and not path.is_file() else None


def _write_into(stream: Path | int, write: Callable[[Path], object]) -> None:
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "content"
        write(whole)
        with whole.open("rb") as content, open(stream, "ab", closefd=isinstance(stream, Path)) as target:
            shutil.copyfileobj(content, target)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(TEMPORARY.replace("*", uuid.uuid4().hex))
    try:
        write(temporary)
        if path.exists():
            shutil.copymode(path, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def real_path(path: Path) -> Path:
    """Returns an absolute path without links; a loop of links, which `Path.resolve` does not allow, stays as it is."""
    return Path(os.path.realpath(path))


def is_utf8(text: str) -> bool:
    """Returns whether a text from the command line or of a path holds no bytes that are not UTF-8."""
    return not any("\udc80" <= character <= "\udcff" for character in text)


def require_utf8(path: Path) -> None:
    """Raises ConfigError: the path, or one that it links to, has a name that no file of text can hold."""
    if not is_utf8(f"{path}{real_path(path)}"):
        raise ConfigError(f"{path}: expected a path whose whole name is UTF-8, got other bytes; rename it")


def require_writable(folder: Path) -> None:
    """Raises WriteError: the folder cannot be written into, or not be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise WriteError(f"{folder}: expected a folder, got a file at {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise WriteError(f"{folder}: expected a folder to write into, got no permission at {there}")


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
