"""The curves of all runs, from the files of events beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pandas import DataFrame

from daguan.core.events import FILE
from daguan.report.jobs import Trained

COLUMNS = ("run", "job", "stage", "done", "share", "unit", "seconds", "loss", "rate", "f1")
MOST_POINTS = 30  # of a job; with more, the curves of 25 jobs would be a tenth of a large page


def curves(runs: Sequence[Trained]) -> DataFrame:
    """Returns a row for each event of progress of these runs' jobs.

    `seconds` are those of work, without the time between two processes; `share` is of the job's units.
    """
    rows = [
        {"run": run.folder.name, "stage": run.stage, **row}
        for run in runs
        for path in run.jobs(FILE)
        for row in _thinned([*events(path)])
    ]
    return DataFrame(rows, columns=COLUMNS)


def events(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the progress in a file of events; a line that a kill has cut is left out."""
    worked, last = 0.0, None
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
            at = datetime.fromisoformat(event["time"])
            kind = event["event"]
        except (ValueError, KeyError, TypeError):
            continue
        if kind != "begins" and last is not None:
            worked += max(0.0, (at - last).total_seconds())
        last = at
        if kind == "progress":
            share = event["done"] / event["total"] if event["total"] else None
            known = {name: event.get(name) for name in ("job", "done", "unit", "loss", "rate", "f1")}
            yield {**known, "share": share, "seconds": worked}


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns at most MOST_POINTS rows beside those with an evaluation."""
    step = max(1, -(-len(rows) // MOST_POINTS))
    return [row for number, row in enumerate(rows) if number % step == 0 or row["f1"] is not None or row is rows[-1]]
