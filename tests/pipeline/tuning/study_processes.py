"""Processes that work on a study, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from fake_study import PAUSE, TRIALS


def start(
    folder: Path, workers: int, storage: str = "", trials: int = TRIALS, pause: float = PAUSE, silent: float = 900.0
) -> subprocess.Popen[bytes]:
    words = [*map(str, (Path(__file__).with_name("fake_study.py"), folder, trials, workers, pause, silent)), storage]
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)


def ran(*folders: Path) -> list[str]:
    """What was run: index and parameters of each run, in any process."""
    lines = [line for folder in folders for line in (folder / "ran.txt").read_text("utf-8").splitlines()]
    return [line.partition(" ")[2] for line in lines]


def kill_after(process: subprocess.Popen[bytes], folder: Path, runs: int) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if (folder / "ran.txt").exists() and len(ran(folder)) >= runs:
            break
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the study was over before it could be killed"
