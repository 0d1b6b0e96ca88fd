"""Compares the start-up of `python -m daguan score PRED GOLD --json` and of `--help` with `import torch, transformers`.

A command that needs no model must not load one: `python -X importtime` shows whether torch was imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import data
from benchmarks.harness import ROOT, Aim, Comparison, Report, alternate, cores, machine, options

LIMIT = 0.5  # seconds
PEER = ["-c", "import torch, transformers"]


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    report = Report("startup", machine(cores()))
    for name, command in commands(Path(data.prepared(asked.quick).contest)).items():
        sides: dict[str, Callable[[], float]] = {"ours": partial(seconds, command), "peer": partial(seconds, PEER)}
        alternate(1, sides)  # the files are in memory from now on
        given = alternate(2 if asked.quick else 9, sides)
        found = Comparison.of_seconds(given["ours"], given["peer"])
        torch = imports_torch(command)
        report.add(
            {"command": name, **found.row("s"), "imports torch": torch},
            Aim.below(f"{name}: seconds", LIMIT, found.ours, " s"),
            Aim(f"{name}: imports torch", "no", float(torch), not torch),
        )
    report.note("peer: python -c 'import torch, transformers'")
    report.show(asked.json)


def commands(contest: Path) -> dict[str, list[str]]:
    """The commands by name; the file scored is the test file (3,000 lines)."""
    gold = str(contest / "test_gold.txt")
    return {"score": ["-m", "daguan", "score", gold, gold, "--json"], "--help": ["-m", "daguan", "--help"]}


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Python with these words, in a user's environment."""
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=os.environ, check=True, capture_output=True, text=True
    )


def seconds(words: list[str]) -> float:
    """From the start of the process to its end."""
    start = time.perf_counter()
    run(words)
    return time.perf_counter() - start


def imports_torch(words: list[str]) -> bool:
    """Whether the command loads torch."""
    lines = run(["-X", "importtime", *words]).stderr.splitlines()
    return any(line.rpartition("|")[2].strip() == "torch" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
