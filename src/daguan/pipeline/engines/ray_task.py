"""What a node of a Ray cluster does: functions of plain text and numbers, which name everything in a shared folder.

A job runs in a process of its own, as on one machine. Its progress comes back by a file in its folder.
"""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from filelock import FileLock, Timeout

import daguan
from daguan.core.errors import ConfigError, DaguanError, StoppedError
from daguan.core.files import sha256_of_file, sha256_of_json, write_text
from daguan.core.progress import Bar, Progress
from daguan.core.runs import package_versions
from daguan.pipeline.engines.local import LocalEngine, do_until
from daguan.pipeline.engines.running import Work

PROGRESS = "progress.json"  # of a job that runs; empty before its first report


@cache
def versions() -> dict[str, str]:
    """Returns all that must be the same on every node for the same bytes, by name."""
    root = Path(daguan.__file__).parent
    code = {str(path.relative_to(root)): sha256_of_file(path) for path in sorted(root.rglob("*.py"))}
    return {"daguan's code": sha256_of_json(code)[:12], "python": platform.python_version(), **package_versions()}


def other_versions(expected: Mapping[str, str]) -> str:
    """Returns what differs here from the versions of the command; empty where nothing does."""
    now, differ = versions(), []
    for name, value in expected.items():
        if (here := now.get(name)) != value:
            differ.append(f"{name} {here} instead of {value}")
    return f"expected the versions of the command, got {', '.join(differ)}" if differ else ""


def check_node(expected: dict[str, str], place: str, locked: str) -> tuple[str, bool]:
    """Returns what prevents jobs on this node, empty if nothing does, and whether a lock of the command holds here.

    `place` is the current folder of the command, and `locked` a file in its folder of runs, which it has locked.
    """
    if problem := other_versions(expected):
        return problem, True
    if not Path(place).is_dir():
        return f"expected the folder {place}, got none; share it with all nodes under this path", True
    path = Path(place, locked)
    if not path.is_file():
        return f"expected {path} of the command, got none; put {path.parent} on a disk that all nodes share", True
    try:
        with FileLock(path).acquire(timeout=0):
            return "", False
    except Timeout:
        return "", True


def do(expected: dict[str, str], place: str, work: tuple[str, str, int, str, int, str], gpus: float) -> tuple[int, str]:
    """Do a job from the command's folder `place`; returns 0, or the exit code and the message of its DaguanError.

    It sees the GPUs that Ray gave it; where it declared none, none at all, which Ray leaves to the task.

    Raises InterruptedError: somebody ended the process, but not this task, which is to be tried again.
    """
    job = Work(*work)
    if problem := other_versions(expected):
        return ConfigError.exit_code, f"{job.name}: node {platform.node()}: {problem}"
    os.chdir(place)
    engine = LocalEngine()
    visible = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
    report = Path(job.folder) / PROGRESS
    write_text(report, "")

    def tell(progress: Progress) -> bool:
        write_text(report, progress.to_line())
        return True

    try:
        with Bar(job.name) as bar:  # ray.cancel sends SIGINT, which a node that was started in the background ignores
            do_until(signal.SIGINT, engine, partial(engine.do, job, bar, tell, visible))
    except StoppedError as error:
        if not engine.stopping:
            raise InterruptedError(str(error)) from None
        return error.exit_code, str(error)
    except DaguanError as error:
        return error.exit_code, str(error)
    finally:
        report.unlink(missing_ok=True)
    return 0, ""


def progress_in(folder: Path) -> Progress | None:
    """Returns the last progress of the job in a folder; None before there is any."""
    with suppress(OSError):  # no such file; or NFS calls a file stale that is replaced while it is read
        return Progress.from_line((folder / PROGRESS).read_text("utf-8"))
    return None
