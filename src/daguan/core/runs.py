"""A run is a folder written once: named after all it depends on, locked while made, done when manifest.json stands.

What a killed run leaves behind without a manifest is continued by the next one.
"""

from __future__ import annotations

import fcntl
import platform
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from daguan import __version__
from daguan.core.errors import CheckpointError
from daguan.core.files import TEMPORARY, read_json, sha256_of_file, sha256_of_json, write_json

MANIFEST = "manifest.json"
# What changes no result of a stage: whole layers, and commands that read what stages made or say in a key what they ask
RESULT_FREE = ("pipeline/engines", "pipeline/tuning", "pipeline/tune.py", "pipeline/rehearse.py", "cli", "__main__.py")
PACKAGES = (
    "torch", "transformers", "pytorch-crf", "python-crfsuite", "scikit-learn", "scipy", "optuna", "numpy",
    "safetensors", "gensim",
)  # fmt: skip


@contextmanager
def folder_lock(folder: Path, wait: bool) -> Iterator[None]:
    """Work in the folder alone. Raises CheckpointError: another process is at it, and we are not to wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise CheckpointError(f"{folder}: expected to work here alone, got another process at it") from None
        for left_by_a_kill in folder.glob(TEMPORARY):
            left_by_a_kill.unlink()
        yield


@dataclass(frozen=True)
class Run:
    """A stage's folder. `key` is the hash of everything the stage depends on, and part of the folder's name."""

    path: Path
    stage: str
    key: str
    depends_on: dict[str, Any]

    @property
    def finished(self) -> bool:
        return (self.path / MANIFEST).is_file()

    def manifest(self) -> dict[str, Any]:
        """Raises CheckpointError: the stage has not been run."""
        if not self.finished:
            raise CheckpointError(f"{self.path}: expected the finished stage {self.stage!r}, got none; run it first")
        return dict(read_json(self.path / MANIFEST))

    def locked(self, wait: bool = False) -> AbstractContextManager[None]:
        """Only one process at a time makes a run. Raises CheckpointError: another one is at it, and we are not to
        wait."""
        return folder_lock(self.path, wait)

    def finish(self, seconds: float, **facts: Any) -> None:
        """Write the manifest: from now on the stage counts as done."""
        about = {"stage": self.stage, "key": self.key, "depends_on": self.depends_on, "seconds": round(seconds, 1)}
        write_json(self.path / MANIFEST, about | environment() | facts)


def run_of(work: Path, stage: str, depends_on: dict[str, Any], *code: str) -> Run:
    """The folder `work/STAGE-KEY` for a stage with these inputs and settings, under this version of the code. code:
    what else of it decides the result, of RESULT_FREE."""
    key = sha256_of_json({**depends_on, "stage": stage, "code": code_version(*code)})[:12]
    return Run(work / f"{stage}-{key}", stage, key, depends_on)


@cache
def code_version(*more: str) -> str:
    """A hash of the source files that results depend on, and of more of RESULT_FREE: another version of them never
    continues an old run."""
    root = Path(__file__).parents[1]
    return sha256_of_json({name: sha256_of_file(root / name) for name in source_files(root, more)})


def source_files(root: Path, more: Collection[str] = ()) -> list[str]:
    """All but RESULT_FREE, and of that what `more` names, in a fixed order."""
    left_out = {Path(name) for name in RESULT_FREE} - {Path(name) for name in more}
    files = sorted(path.relative_to(root) for path in root.rglob("*.py"))
    return [str(path) for path in files if not left_out & {path, *path.parents}]


def environment() -> dict[str, Any]:
    """Commit, package versions and machine, for manifests."""
    versions = {package: metadata.version(package) for package in PACKAGES} | {"daguan": __version__}
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": versions,
    }


def commit() -> str:
    """The commit of the source tree, `+` where it has been changed, `unknown` outside git."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=here, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


class Stopwatch:
    """Seconds worked on a run, over all its processes: what earlier ones spent is carried in a checkpoint."""

    def __init__(self, before: float = 0.0) -> None:
        self._before = before
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start
