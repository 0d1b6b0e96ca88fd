"""Nodes of a Ray cluster on this machine, of one core each, and the commands that run there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

STARTED = "Ray runtime started"
WORKER = "daguan.pipeline.engines.worker"
PATIENCE = float(os.environ.get("PATIENCE", "300"))  # seconds for a step of the cluster, on a busy machine
WAITS = (
    "raylet_start_wait_time_s", "worker_register_timeout_seconds", "gcs_server_request_timeout_seconds",
    "health_check_timeout_ms",
)  # fmt: skip


@contextmanager
def node(log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A node in a session of its own, which ends with the context.

    Its raylet ends if an agent takes over 15 seconds to start, as on a busy machine. The node is then started again.
    """
    since, started = time.monotonic(), start(log, *options)
    try:
        while STARTED not in log.read_text("utf-8"):
            assert started.poll() is None
            assert time.monotonic() - since < PATIENCE
            if "raylet <defunct>" in in_session(started, "comm="):
                lose(started)
                started = start(log, *options)
            time.sleep(0.1)
        yield started
    finally:
        lose(started)


def start(log: Path, *options: str) -> subprocess.Popen[bytes]:
    words = ["start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *options]
    milliseconds = {name: 1000 * PATIENCE if name.endswith("_ms") else PATIENCE for name in WAITS}
    environment = os.environ | {f"RAY_{name}": f"{value:.0f}" for name, value in milliseconds.items()}
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *words], stdout=file, stderr=file,
            env=environment | {"RAY_USAGE_STATS_ENABLED": "0"}, start_new_session=True,
        )  # fmt: skip


@contextmanager
def head(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The first node of a cluster, and its address."""
    files = Path(f"/tmp/{folder.name[:20]}-{os.getpid()}")  # sockets have paths of at most 107 bytes
    options = ("--head", "--include-dashboard=false", "--no-monitor", "--port=0", f"--temp-dir={files}")
    with node(folder / "head.log", *options) as started:
        (port,) = (files / "session_latest").glob("gcs_server_port_*")
        yield started, f"127.0.0.1:{port.read_text('ascii')}"
    shutil.rmtree(files)


def lose(started: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a node, Ray's before those that it started."""
    for process in sorted(map(int, in_session(started, "pid="))):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    started.wait()


def in_session(started: subprocess.Popen[bytes], column: str) -> list[str]:
    """Return a column of `ps` for the processes of a node."""
    words = ["ps", "-ww", "-o", column, "-s", str(started.pid)]
    return subprocess.run(words, text=True, capture_output=True, check=False).stdout.splitlines()


def jobs_on(started: subprocess.Popen[bytes], worker: str = WORKER) -> list[Path]:
    """Return the folders of the jobs that run on a node."""
    lines = [line for line in in_session(started, "args=") if worker in line]
    return [Path(line.split()[-1]).parent for line in lines]


def command(log: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start Python with these words, and with a log for its output; SIGINT ends it even where the tests ignore it."""

    def end_by_sigint() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with log.open("wb") as file:
        return subprocess.Popen([sys.executable, *words], stdout=file, stderr=file, preexec_fn=end_by_sigint)


def until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait, while the process lives."""
    since = time.monotonic()
    while not condition():
        assert process.poll() is None
        assert time.monotonic() - since < PATIENCE
        time.sleep(0.1)
