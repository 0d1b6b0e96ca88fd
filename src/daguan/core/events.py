"""The file of events beside a run: one line of JSON for each, to follow a run or to draw its curves."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daguan.core.files import naming
from daguan.core.progress import Progress

FILE = "events.jsonl"
EVENT_SECONDS = 5.0  # between two events without news


class Events:
    """Appends to the file of a run, which continued runs share: when a process began and ended, and its progress.

    Its methods raise WriteError: the disk is full."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._name, self._written, self._f1s = folder / FILE, name, 0.0, 0

    def __enter__(self) -> Self:
        if self._path.is_file() and self._path.read_bytes()[-1:] not in (b"", b"\n"):  # a kill left half a line
            self._append(b"\n")
        self._add("begins")
        return self

    def show(self, progress: Progress) -> None:
        """Add the progress if it brings an evaluation or the end, or if the last one is some seconds old."""
        now = time.monotonic()
        news = len(progress.f1s) > self._f1s or progress.done == progress.total
        if news or now - self._written >= EVENT_SECONDS:
            f1 = {"f1": progress.f1s[-1]} if len(progress.f1s) > self._f1s else {}
            loss = {} if progress.loss is None else {"loss": progress.loss}
            rate = {} if progress.rate is None else {"rate": progress.rate}
            self._add("progress", done=progress.done, total=progress.total, unit=progress.unit, **loss, **rate, **f1)
            self._written, self._f1s = now, len(progress.f1s)

    def _add(self, event: str, **facts: Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._append(json.dumps({"time": at, "job": self._name, "event": event, **facts}).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        with naming(self._path), self._path.open("ab") as file:
            file.write(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._add("ends")
