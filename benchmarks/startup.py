"""Compares the start-up of commands without a model with `import torch, transformers`, and with what any start costs.

Any start costs `import numpy, pydantic, typer`: `python -m daguan --help` and `score PRED GOLD --json` may take 0.2
seconds more. They and the help of a command must not load a library that computes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import data
from benchmarks.harness import ROOT, Aim, Comparison, Report, alternate, cores, machine, options

LIMIT = 0.2  # seconds over FLOOR
LINES = 100  # few, so that scoring them takes no time
SETTINGS_HELP = "train --help"  # lists settings, so that it loads their declarations
FLOOR = ["-c", "import numpy, pydantic, typer"]
HEAVY = ("torch", "transformers", "sklearn", "scipy", "pandas")
PEER = ["-c", "import torch, transformers"]


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    report = Report("startup", machine(cores()))
    for name, command in commands(Path(data.prepared(asked.quick).contest)).items():
        sides: dict[str, Callable[[], float]] = {
            "ours": partial(seconds, command),
            "floor": partial(seconds, FLOOR),
            "peer": partial(seconds, PEER),
        }
        alternate(1, sides)  # the files are in memory from now on
        given = alternate(2 if asked.quick else 9, sides)
        found = Comparison.of_seconds(given["ours"], given["peer"])
        over, loads = found.ours - statistics.median(given["floor"]), heavy_imports(command)
        report.add(
            {"command": name, **found.row("s"), "over any start, s": over, "loads": ", ".join(loads) or "none"},
            Aim(f"{name}: libraries that compute", "none", len(loads), not loads),
        )
        if name != SETTINGS_HELP:
            report.aims.append(Aim.below(f"{name}: seconds over any start", LIMIT, over, " s"))
    report.note("any start: python -c 'import numpy, pydantic, typer'")
    report.note("peer: python -c 'import torch, transformers'")
    report.show(asked.json)


def commands(contest: Path) -> dict[str, list[str]]:
    """Returns the commands by name; the scored file has the first LINES lines of the test file."""
    gold = data.WORK / "startup.txt"
    gold.write_text("\n".join((contest / "test_gold.txt").read_text("utf-8").split("\n")[:LINES]), "utf-8")
    words = {
        "score": ["score", str(gold), str(gold), "--json"],
        "--help": ["--help"],
        SETTINGS_HELP: ["train", "--help"],
    }
    return {name: ["-m", "daguan", *command] for name, command in words.items()}


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


def heavy_imports(words: list[str]) -> list[str]:
    """Returns the libraries that compute, of those that the command loads."""
    lines = run(["-X", "importtime", *words]).stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    return [name for name in HEAVY if name in loaded]


if __name__ == "__main__":
    main(sys.argv[1:])
