"""The ledger: every trained run of a work folder, and which of them may be blended together.

A run's folder is named after the hash of its data, folds, settings and code; its folds hold the marginals for
held-out and test lines (`data/marginals.py`). Runs that share `lines`, the hash of the labelled and test lines and the
folds, may be blended, whatever else differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daguan.core.files import read_json
from daguan.core.runs import MANIFEST, differences, is_current
from daguan.pipeline.stages import Stages


@dataclass(frozen=True)
class Entry:
    """A trained run.

    Attributes:
        lines: a key that runs share which may be blended together.
        f1: strict span F1 over all held-out lines.
    """

    run: str
    lines: str
    family: str
    encoder: str
    head: str
    seed: int
    folds: int
    f1: float
    seconds: float

    @classmethod
    def of(cls, run: str, manifest: dict[str, Any]) -> Entry:
        depends_on = manifest["depends_on"]
        model = depends_on.get("model", {})  # the n-gram CRF has neither encoder nor head
        return cls(
            run=run,
            lines=manifest["lines"],
            family=depends_on["family"],
            encoder=model.get("encoder", ""),
            head=model.get("head", ""),
            seed=depends_on["seed"],
            folds=len(manifest["folds"]),
            f1=manifest["out_of_fold"],
            seconds=manifest["seconds"],
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_ledger(work: Path) -> list[Entry]:
    """Returns all finished trained runs of this version, grouped by what they may be blended with, best first. Raises
    CheckpointError: a manifest is damaged."""
    manifests = {path.parent.name: read_json(path) for path in sorted(work.glob(f"*/{MANIFEST}"))}
    entries = [
        Entry.of(run, manifest) for run, manifest in manifests.items() if is_current(manifest) and "lines" in manifest
    ]
    return sorted(entries, key=lambda entry: (entry.lines, -entry.f1, entry.run))


def earlier_runs(work: Path) -> list[str]:
    """Returns the names of the finished runs in a work folder that an earlier version of this project made."""
    return [path.parent.name for path in sorted(work.glob(f"*/{MANIFEST}")) if not is_current(read_json(path))]


def reasons(stages: Stages, entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Returns why trained runs of this configuration's members are not its own: the settings and inputs that differ, or
    else the modules whose code changed; by run."""
    own = {member: stages.train(member) for member in stages.settings.trained}
    found = {}
    for entry in entries:
        run = own.get(entry.run.rpartition("-")[0])
        if run and run.path.name != entry.run:
            found[entry.run] = differences(read_json(stages.work / entry.run / MANIFEST), run)
    return found
