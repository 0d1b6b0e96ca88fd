"""The file of events beside a run: one line of JSON for each, to follow a run or to draw its curves."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daguan.core.progress import Progress

FILE = "events.jsonl"
EVENT_SECONDS = 5.0  # between two events without news


class Events:
    """Appends to the file of a run, which continued runs share: when a process began and ended, and its progress."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = (folder / FILE).open("ab+")
        self._name, self._written, self._f1s = name, 0.0, 0

    def __enter__(self) -> Self:
        self._file.seek(0, 2)
        if self._file.tell():  # a kill may have left half a line
            self._file.seek(-1, 2)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")
        self._add("begins")
        return self

    def show(self, progress: Progress) -> None:
        """Add the progress if it brings an evaluation or the end, or if the last one is some seconds old."""
        now = time.monotonic()
        news = len(progress.f1s) > self._f1s or progress.done == progress.total
        if news or now - self._written >= EVENT_SECONDS:
            f1 = {"f1": progress.f1s[-1]} if len(progress.f1s) > self._f1s else {}
            loss = {} if progress.loss is None else {"loss": progress.loss}
            self._add("progress", done=progress.done, total=progress.total, unit=progress.unit, **loss, **f1)
            self._written, self._f1s = now, len(progress.f1s)

    def _add(self, event: str, **facts: Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write(json.dumps({"time": at, "job": self._name, "event": event, **facts}).encode() + b"\n")
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._add("ends")
        self._file.close()
