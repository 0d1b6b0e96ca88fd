"""What the engine's workers do: one job each, in its own folder, which result.json completes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.progress import Progress
from daguan.core.runs import Stopwatch
from daguan.core.settings import build, to_dict
from daguan.families.member import MemberSettings
from daguan.training.engine_settings import EngineSettings

JOB, RESULT, UPDATES = "job.json", "result.json", "updates.json"
PLANNED = 0.95  # share of the allotted seconds that updates are to take, as a job's first seconds tell their speed
Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Job(ABC):
    """All that a worker needs to train one model.

    Attributes:
        kind: its row of the table of jobs (pipeline/engines/worker.py).
        folder: where the job works.
        prepared: the run of `prepare`.
        threads: of each of its processes.
        processes: how many do it together, as ranks (training/ranks.py).
        seconds: of training that a budget allots; the job then measures its speed and fixes the number of its updates
            (`fixed_updates`). 0 for as many updates as the settings say.
    """

    kind: ClassVar[str]
    settings: MemberSettings
    engine: EngineSettings
    folder: str
    prepared: str
    threads: int
    processes: int = 1
    seconds: float = 0.0

    @property
    @abstractmethod
    def name(self) -> str:
        """What the user reads."""

    @property
    @abstractmethod
    def kind_of_work(self) -> str:
        """What jobs have in common that take about as long as each other."""

    @abstractmethod
    def summary(self, result: dict[str, Any]) -> str:
        """Returns what the user reads of the finished job."""

    @property
    def finished(self) -> bool:
        return (Path(self.folder) / RESULT).is_file()

    @property
    def seed(self) -> int:
        return self.settings.seed

    def fixed_updates(self, updates_a_second: Callable[[], float], most: int, watch: Stopwatch) -> int:
        """Returns the number of updates, from 1 to `most`, that PLANNED of the allotted seconds pay for, less those on
        the watch.

        It is fixed once and kept in the folder, so that a restarted job does the same number.
        """
        from daguan.training import ranks

        path = Path(self.folder) / UPDATES
        known = ranks.of_first(int(read_json(path)) if path.is_file() else 0)
        if not known:
            speed = updates_a_second()
            known = ranks.of_first(max(1, min(most, int((PLANNED * self.seconds - watch.seconds) * speed))))
            if ranks.is_first():
                write_json(path, known)
        return int(known)

    def to_json(self) -> dict[str, Any]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return values | {"kind": self.kind, "settings": to_dict(self.settings), "engine": to_dict(self.engine)}

    @classmethod
    def from_json(cls, values: dict[str, Any], place: str) -> Self:
        """The inverse of `to_json`. Raises ConfigError, naming the place."""
        found = {name: value for name, value in values.items() if name != "kind"}
        found["settings"] = build(MemberSettings, values["settings"], place)
        found["engine"] = build(EngineSettings, values["engine"], place)
        return cls(**found)


def result_of(job: Job) -> dict[str, Any]:
    """Returns result.json. Raises CheckpointError: the job has not finished."""
    if not job.finished:
        raise CheckpointError(f"{job.folder}: expected a finished job, got none; run `train` first")
    return dict(read_json(Path(job.folder) / RESULT))
