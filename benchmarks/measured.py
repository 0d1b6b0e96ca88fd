"""Measures seconds, CPU seconds and peak memory of a command, by a process too small to distort them.

(Linux counts the memory of the parent at the start of a child as the child's, so a bare Python runs in between.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds and CPU seconds, and the largest resident memory of the command or any process it waited for,
    in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run the command and show its output on standard error only. Raises CalledProcessError if it failed."""
    between = [sys.executable, "-S", str(Path(__file__).resolve()), *command]
    answer = subprocess.run(between, env=dict(environment), check=True, stdout=subprocess.PIPE, text=True)
    return Measured(**json.loads(answer.stdout))


def _run(command: Sequence[str]) -> None:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    spent = {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime}
    print(json.dumps(spent | {"peak_mb": usage.ru_maxrss / 1024}))
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _run(sys.argv[1:])
