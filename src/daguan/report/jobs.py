"""The jobs of training behind a blend: what a budget planned for each, and what it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pandas import DataFrame

from daguan.core.files import read_json
from daguan.core.runs import MANIFEST
from daguan.families.job import JOB, RESULT
from daguan.pipeline.stages import Stages

PRETRAINING, FINE_TUNING = "pretraining", "fine-tuning"
COLUMNS = ("run", "stage", "job", "planned", "seconds", "updates", "most_updates", "f1", "commit")


class Trained(NamedTuple):
    """The folder of a trained run, and the stage that made it."""

    stage: str
    folder: Path

    def jobs(self, name: str) -> list[Path]:
        """Returns the paths of a file of that name in the folders of its jobs, those that are there."""
        return sorted([*self.folder.glob(name), *self.folder.glob(f"fold*/{name}")])


def trained(stages: Stages) -> list[Trained]:
    """Returns the runs behind a blend that are finished: pretrainings, and then the members and what they need."""
    needed = () if stages.settings.blend.runs else stages.settings.trained
    runs = [*stages.members, *(stages.train(member) for member in needed)]
    return with_starts([run.path for run in runs if run.finished])


def with_starts(folders: Sequence[Path]) -> list[Trained]:
    """Returns trained runs, each once, after the pretrainings that they started from."""
    folders = list(dict.fromkeys(folders))
    starts = dict.fromkeys(start for folder in folders for start in _starts(folder))
    return [*(Trained(PRETRAINING, start) for start in starts), *(Trained(FINE_TUNING, one) for one in folders)]


def _starts(folder: Path) -> Iterator[Path]:
    if key := read_json(folder / MANIFEST)["depends_on"].get("pretrain"):
        start = folder.parent / f"pretrain-{key}"
        if (start / MANIFEST).is_file():
            yield start


def jobs(runs: Sequence[Trained]) -> DataFrame:
    """Returns a row for each job: the seconds that a budget planned for it, if any, and those that it took; the updates
    that it did and those that its settings ask for. A job without updates takes what it takes, whatever is planned."""
    return DataFrame([_row(run, path) for run in runs for path in run.jobs(RESULT)], columns=COLUMNS)


def _row(run: Trained, path: Path) -> dict[str, Any]:
    result, name, file = read_json(path), path.parent.name, path.parent / JOB
    planned = read_json(file)["seconds"] if file.is_file() else 0.0
    known = {column: result.get(column) for column in ("seconds", "updates", "most_updates", "f1")}
    return {
        "run": run.folder.name,
        "stage": run.stage,
        "job": name if path.parent != run.folder else "",
        "planned": planned if planned and "updates" in result else None,
        "commit": read_json(run.folder / MANIFEST)["commit"],
        **known,
    }
