"""Compares `estimate` with what a run then takes, on three small sizes. It takes four minutes on two quiet cores.

Each is the smoke preset, or a change of it. The estimate measures the machine first; the run follows at once, in an
empty work folder, so that both meet about the same load. A ratio over 1 is an estimate that was too long, and an error
is a ratio's distance from 1. A size that was measured at this commit is a line of data/benchmarks/estimate.jsonl and
is not measured again: the same command continues one that was cut short, and without the file it starts again.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.data import WORK
from benchmarks.harness import ROOT, Aim, Report, Row, machine, options
from daguan.core.runs import commit
from daguan.training.devices import cores

RECORDS = WORK / "estimate.jsonl"
SIZES = {
    "smoke": [],
    "more lines": ["contest.train_lines=1500", "contest.test_lines=500", "contest.corpus_lines=8000", "folds.count=3"],
    "larger encoder": ["encoder.hidden=128", "encoder.feed_forward=256", "encoder.layers=3", "pretrain.tokens=200000"],
}
NEAR = 0.2


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    report = Report("estimate", machine(cores()))
    sizes = {"smoke": SIZES["smoke"]} if asked.quick else SIZES
    done = {} if asked.quick else recorded()
    for name, changes in sizes.items():
        row = done.get(name) or compare(name, changes)
        if not asked.quick and name not in done:
            RECORDS.parent.mkdir(parents=True, exist_ok=True)
            with RECORDS.open("a", encoding="utf-8") as lines:
                print(json.dumps({"commit": commit(), **row}), file=lines)
        report.add(row)
    error = statistics.median(abs(row["ratio"] - 1) for row in report.rows)
    report.aims.append(Aim.below("the median error", NEAR, error))
    report.note(f"{sum(row['minutes'] for row in report.rows):.1f} minutes in all")
    report.show(asked.json)


def recorded() -> dict[str, Row]:
    """Returns the rows of the sizes that were measured at this commit, by their names."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {row["size"]: row for row in rows if row.pop("commit") == commit()}


def compare(name: str, changes: list[str]) -> Row:
    """Returns the row of one size."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        places = [f"data.work={folder}/work", f"data.submissions={folder}/submissions"]
        line = [str(ROOT / "configs" / "smoke.yaml"), *changes, *places]
        daguan("prepare", line)  # builds the contest, which an estimate does not count
        shutil.rmtree(Path(folder, "work"))
        measuring = time.perf_counter()
        estimate: dict[str, Any] = json.loads(daguan("estimate", [*line, "--json"]))
        running = time.perf_counter()
        daguan("run", line)
        end = time.perf_counter()
        disk = sum(path.stat().st_size for path in Path(folder, "work").rglob("*") if path.is_file())
    seconds = end - running
    row = {"size": name, "estimate, s": estimate["seconds"], "run, s": seconds, "ratio": estimate["seconds"] / seconds}
    row |= {f"{one['stage']}, s": one["seconds"] for one in estimate["stages"]}
    row |= {"estimated MB of disk": estimate["disk"] / 1e6, "MB of disk": disk / 1e6}
    return {**row, "measuring, s": running - measuring, "minutes": (end - begun) / 60}


def daguan(command: str, words: list[str]) -> str:
    """Run a command as a user does; returns the last line that it prints."""
    answer = subprocess.run(
        [sys.executable, "-m", "daguan", command, *words], env=os.environ, cwd=ROOT, check=True, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    return (answer.stdout.splitlines() or [""])[-1]


if __name__ == "__main__":
    main(sys.argv[1:])
