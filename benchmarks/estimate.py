"""Compares `estimate` with what a run then takes, on three small sizes.

Each is the smoke preset, or a change of it. The estimate measures the machine first; the run follows at once, in an
empty work folder, so that both meet about the same load. A ratio over 1 is an estimate that was too long.
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

from benchmarks.harness import ROOT, Aim, Report, machine, options
from daguan.training.devices import cores

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
    ratios = [compare(report, name, changes) for name, changes in sizes.items()]
    far = abs(statistics.median(ratios) - 1)
    report.aims.append(Aim.below("the median ratio's distance from 1", NEAR, far))
    report.show(asked.json)


def compare(report: Report, name: str, changes: list[str]) -> float:
    """Add the row of one size; returns its ratio."""
    with tempfile.TemporaryDirectory() as folder:
        places = [f"data.work={folder}/work", f"data.submissions={folder}/submissions"]
        line = [str(ROOT / "configs" / "smoke.yaml"), *changes, *places]
        daguan("prepare", line)  # builds the contest, which an estimate does not count
        shutil.rmtree(Path(folder, "work"))
        since = time.perf_counter()
        estimate: dict[str, Any] = json.loads(daguan("estimate", [*line, "--json"]))
        measuring, since = time.perf_counter() - since, time.perf_counter()
        daguan("run", line)
        seconds = time.perf_counter() - since
        disk = sum(path.stat().st_size for path in Path(folder, "work").rglob("*") if path.is_file())
    ratio = estimate["seconds"] / seconds
    row = {"size": name, "estimate, s": estimate["seconds"], "run, s": seconds, "ratio": ratio}
    row |= {"measuring, s": measuring, "estimated MB of disk": estimate["disk"] / 1e6, "MB of disk": disk / 1e6}
    report.add(row)
    report.note(f"{name}: " + ", ".join(f"{one['stage']} {one['seconds']:.0f} s" for one in estimate["stages"]))
    return ratio


def daguan(command: str, words: list[str]) -> str:
    """Run a command as a user does; returns the last line that it prints."""
    answer = subprocess.run(
        [sys.executable, "-m", "daguan", command, *words], env=os.environ, cwd=ROOT, check=True, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    return (answer.stdout.splitlines() or [""])[-1]


if __name__ == "__main__":
    main(sys.argv[1:])
