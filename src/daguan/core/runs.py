"""A run is a folder written once: named after all it depends on, locked while made, done when manifest.json is there.

What a killed run leaves behind without a manifest is continued by the next one.
"""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from daguan import __version__
from daguan.core.code import changed_modules, module_keys
from daguan.core.errors import CheckpointError, MissingStageError
from daguan.core.files import TEMPORARY, read_json, sha256_of_json, write_json
from daguan.core.progress import say
from daguan.core.shared_disks import say_lock_doubt
from daguan.core.tables import Row

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint.safetensors"  # what a killed run continues from
ENVIRONMENT = "environment.json"
PATIENCE = 3.0  # seconds of waiting for another process that need no explanation
FORMAT = 3  # of run folders and models; earlier versions of this project wrote none, or a smaller number
WRITTEN_BY = {"format": FORMAT, "daguan": __version__}  # what the description of a model begins with
PACKAGES = (
    "torch", "transformers", "pytorch-crf", "scikit-learn", "scipy", "optuna", "numpy",
    "safetensors", "gensim",
)  # fmt: skip


@contextmanager
def folder_lock(folder: Path, wait: bool) -> Iterator[None]:
    """Work in the folder alone. Raises CheckpointError: another process works there and we do not wait, or the disk
    has no locks."""
    folder.mkdir(parents=True, exist_ok=True)
    say_lock_doubt(folder.parent)
    with _held(folder, wait):
        for left_by_a_kill in folder.glob(TEMPORARY):
            left_by_a_kill.unlink(missing_ok=True)  # one who writes without the lock may have renamed it
        yield


def _held(folder: Path, wait: bool) -> AbstractContextManager[object]:
    lock = FileLock(folder / ".lock")  # the system frees it when its holder is killed
    try:
        try:
            return lock.acquire(timeout=PATIENCE if wait else 0)
        except Timeout:
            if not wait:
                raise CheckpointError(f"{folder}: expected to work here alone, got another process at it") from None
            say(f"{folder.name}: waits for another process that works in {folder}")
            return lock.acquire()
    except OSError as error:
        problem = f"{folder}: expected a disk with locks, got: {error}"
        raise CheckpointError(f"{problem}; mount it with locks, or choose another by data.work=FOLDER") from None


@dataclass(frozen=True)
class Run:
    """The folder of a stage.

    Attributes:
        key: the hash of everything that the stage depends on; part of the folder's name.
        depends_on: data, settings and the keys of the runs before it, by name.
        code: a hash of each module that makes it, by the module's name.
    """

    path: Path
    stage: str
    key: str
    depends_on: dict[str, Any]
    code: dict[str, str]

    @property
    def finished(self) -> bool:
        return (self.path / MANIFEST).is_file()

    def manifest(self) -> dict[str, Any]:
        """Returns what is known of the finished run. Raises CheckpointError: the stage has not been run, or was by
        another version."""
        if not self.finished:
            raise MissingStageError(f"{self.path}: expected the finished stage {self.stage!r}, got none", self.stage)
        manifest = dict(read_json(self.path / MANIFEST))
        require_current(self.path, manifest)
        return manifest

    def locked(self, wait: bool = False) -> AbstractContextManager[None]:
        """Returns a context in which no other process makes this run. Raises CheckpointError: another one is at it, and
        we are not to wait."""
        return folder_lock(self.path, wait)

    def finish(self, seconds: float, **facts: Any) -> None:
        """Write the manifest: from now on the stage counts as done."""
        about = {"format": FORMAT, "stage": self.stage, "key": self.key, "seconds": round(seconds, 1)}
        about |= {"depends_on": self.depends_on, "code": self.code}
        write_json(self.path / MANIFEST, about | environment() | facts)


def run_of(work: Path, stage: str, depends_on: dict[str, Any], code: Sequence[Row]) -> Run:
    """Returns the run `work/STAGE-KEY` with these inputs and settings, made by the code of these rows."""
    modules = module_keys(row.path.partition(":")[0] for row in code)
    about = {**depends_on, "stage": stage, "rows": sorted({row.path for row in code}), "code": modules}
    key = sha256_of_json(about)[:12]
    return Run(work / f"{stage}-{key}", stage, key, depends_on, modules)


def accepted_run(run: Run, accept: bool) -> Run:
    """Returns the run, or a finished one in its place that other code made of the same inputs and that was accepted.

    accept: whether to accept such a run now, which its manifest then says.
    """
    if run.finished:
        return run
    for path in sorted(run.path.parent.glob(f"{run.stage}-*/{MANIFEST}")):
        manifest = read_json(path)
        if not is_current(manifest) or manifest["depends_on"] != run.depends_on:
            continue
        accepted = manifest.get("accepted", {})
        if accept and run.key not in accepted:
            accepted[run.key] = {"commit": commit(), "changed": changed_modules(manifest["code"], run.code)}
            write_json(path, manifest | {"accepted": accepted})
        if run.key in accepted:
            return Run(path.parent, run.stage, manifest["key"], run.depends_on, run.code)
    return run


def is_current(manifest: Mapping[str, Any]) -> bool:
    """Returns whether a manifest is of a run that this version can read."""
    return manifest.get("format") == FORMAT


def require_current(path: Path, about: Mapping[str, Any]) -> None:
    """Checks the format that a manifest or a model's description names. Raises CheckpointError: this version cannot
    read it."""
    if not is_current(about):
        version = about.get("daguan") or about.get("versions", {}).get("daguan", "of an unknown version")
        raise CheckpointError(
            f"{path}: expected format {FORMAT}, got {about.get('format', 'none')}, written by daguan {version}; "
            f"train again with daguan {__version__}, or use the daguan that wrote it"
        )


def differences(manifest: Mapping[str, Any], run: Run) -> list[str]:
    """Returns why a finished run is not the given one: the settings and inputs that differ, or else the code."""
    before, now = _leaves(manifest["depends_on"]), _leaves(run.depends_on)
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return names or changed_modules(manifest["code"], run.code)


def _leaves(values: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the values in nested dictionaries by `section.key`."""
    if not isinstance(values, dict):
        return {prefix.removesuffix("."): values}
    return {name: leaf for key, value in values.items() for name, leaf in _leaves(value, f"{prefix}{key}.").items()}


def other_environment(run: Run, threads: int) -> str:
    """Returns what was different when an unfinished run was begun: versions of libraries, or the number of threads, on
    which bytes depend. Empty where nothing was; writes down those of a run that begins now."""
    now, path = {**environment()["versions"], "threads": threads}, run.path / ENVIRONMENT
    if not path.is_file():
        write_json(path, now)
        return ""
    before = read_json(path)
    return ", ".join(f"{name} {value}" for name, value in before.items() if now.get(name) != value)


def environment() -> dict[str, Any]:
    """Commit, package versions and machine, for manifests."""
    versions = package_versions() | {"daguan": __version__}
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": versions,
    }


def package_versions() -> dict[str, str]:
    """Returns the version of each package on which bytes may depend; "none" where it is not installed, as a run that
    does without it may be made there."""
    found = dict.fromkeys(PACKAGES, "none")
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


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
