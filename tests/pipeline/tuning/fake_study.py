"""A study whose trials cost nothing, in a process of its own.

    fake_study.py FOLDER TRIALS WORKERS PAUSE SILENT STORAGE

PAUSE is the seconds between two evaluations, SILENT those after which a trial of another machine is given up.

Each trial run is a line of FOLDER/ran.txt.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from daguan.cli.tables.study import write_study
from daguan.core.errors import ConfigError
from daguan.core.runs import folder_lock
from daguan.pipeline.tuning import search
from daguan.pipeline.tuning import study as studies
from daguan.pipeline.tuning.settings import Axis, TuneSettings
from daguan.pipeline.tuning.space import Space
from daguan.pipeline.tuning.study import Study, Watch
from daguan.pipeline.tuning.trials import Outcome, Trial

TRIALS = 30
PAUSE = 0.005
AXES = {
    "rate": Axis(low=1e-4, high=1e-1, log=True),
    "head": Axis(choices=("crf", "span", {"layers": 2})),
    "layers": Axis(low=1, high=9),
    "smoothing": Axis(low=0, high=0.4, step=0.1, when={"head": ["crf", "span"]}),
}
SPACE = Space(AXES, frozenset({"layers"}))


def outcome_of(trial: Trial) -> Outcome:
    drawn = trial.parameters
    best = {"crf": 0.05, "span": 0.0}.get(str(drawn["head"]), 0.02)
    f1 = 0.8 - abs(drawn["rate"] - 0.01) - 0.02 * drawn["layers"] + best - 0.1 * drawn.get("smoothing", 0)
    return Outcome(f1, 10.0 + drawn["layers"])


class Fake:
    """Runs a trial in a few steps; fails now and then."""

    def __init__(self, record: Path, pause: float = 0.0) -> None:
        self.record, self.pause = record, pause

    def __call__(self, trial: Trial, watch: Watch) -> Outcome | None:
        with self.record.open("a") as file:
            file.write(f"{os.getpid()} {trial.index} {trial.parameters}\n")
        if trial.index % 10 == 3:
            raise ConfigError("rate: expected another, got this one")
        outcome = outcome_of(trial)
        for step in (25, 50, 75, 100):
            time.sleep(self.pause)
            if not watch(step, outcome.f1 * step / 100):
                return None
        return outcome


def settings_of(at_once: int, storage: str = "", trials: int = TRIALS) -> TuneSettings:
    return TuneSettings(space=AXES, trials=trials, at_once=at_once, storage=storage, startup=6)


def main(folder: Path, trials: int, workers: int, pause: float, silent: float, storage: str) -> None:
    search.POLL_SECONDS = 0.05
    studies.SILENT_SECONDS, studies.BEAT_SECONDS = silent, silent / 10
    study = Study.open(folder, SPACE, settings_of(2, storage, trials), seed=7)
    search.search(study, Fake(folder / "ran.txt", pause), workers)
    with folder_lock(folder, wait=True):
        write_study(folder, study.trials(), {}, None)


if __name__ == "__main__":
    folder, trials, workers, pause, silent, storage = sys.argv[1:]
    main(Path(folder), int(trials), int(workers), float(pause), float(silent), storage)
