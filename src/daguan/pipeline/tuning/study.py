"""A study on which any number of processes work: one process does each trial, and the order decides nothing.

The draw of trial n, and whether it is pruned, depends only on the seed and on trials 0 to n - at_once, for which it
waits. On one machine a worker holds the lock of its trial's folder, so a killed one is noticed at once; a trial of
another machine is given up after a long silence.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from daguan.core.errors import CheckpointError
from daguan.core.files import write_text
from daguan.core.runs import folder_lock
from daguan.core.seeds import stream_seed
from daguan.pipeline.tuning.optuna_study import Record, Store, draw, prunes
from daguan.pipeline.tuning.settings import OBJECTIVES, TuneSettings
from daguan.pipeline.tuning.space import Space
from daguan.pipeline.tuning.trials import REPEATED, RUNNING, Trial

BEAT_SECONDS = 60.0
SILENT_SECONDS = 900.0  # then a trial of another machine is given up
DRAWS = 10  # before a trial that would repeat another is recorded as such

Watch = Callable[[int, float], bool]


@dataclass(frozen=True)
class Study:
    """A study in its folder, and in a storage."""

    folder: Path
    store: Store
    space: Space
    settings: TuneSettings
    seed: int

    @classmethod
    def open(cls, folder: Path, space: Space, settings: TuneSettings, seed: int) -> Study:
        """Returns the study. Raises ConfigError if the storage is not there."""
        with folder_lock(folder, wait=True):
            store = Store(settings.storage, folder, folder.name, OBJECTIVES[settings.objective])
        return cls(folder, store, space, settings, seed)

    def trials(self) -> list[Trial]:
        """Returns all trials that were begun, by index."""
        return [record.trial for record in self._records()]

    @property
    def begun(self) -> bool:
        """Whether all trials are begun."""
        return len(self._records()) >= self.settings.trials

    def _records(self) -> list[Record]:
        """Returns the record that counts for each index: the first that is not void."""
        first: dict[int, Record] = {}
        for record in sorted(self.store.records(), key=lambda record: record.number):
            if not record.void:
                first.setdefault(record.trial.index, record)
        return [first[index] for index in sorted(first)]

    @contextmanager
    def claimed(self) -> Iterator[Record | None]:
        """Returns a trial for this process alone, new or abandoned by a killed one; None if there is none now."""
        with ExitStack() as held:
            with folder_lock(self.folder, wait=True):
                record = self._claim(held)
            if record is None:
                yield None
                return
            with self._beating(record):
                yield record

    def folder_of(self, index: int) -> Path:
        return self.folder / f"trial{index:03d}"

    def _claim(self, held: ExitStack) -> Record | None:
        place = self._place()
        for record in self._records():
            if not record.trial.finished and self._is_left(record, place):
                self.store.void(record)  # and begun again below, with the same parameters
        trials = self.trials()
        there = {trial.index for trial in trials}
        index = next(index for index in range(len(trials) + 1) if index not in there)
        waits = any(not trial.finished for trial in self._known(trials, index))
        if index >= self.settings.trials or waits or not self._hold(index, held):
            return None
        begun = self.store.begin(self._drawn(trials, index), self.space, place, time.time())
        if any(record.number == begun.number for record in self._records()):
            return begun
        self.store.void(begun)  # another machine was faster
        return None

    def _hold(self, index: int, held: ExitStack) -> bool:
        try:
            held.enter_context(folder_lock(self.folder_of(index), wait=False))
        except CheckpointError:  # a trial that another machine gave up still runs here
            return False
        return True

    def _is_left(self, record: Record, place: str) -> bool:
        """Whether the process that ran it has ended."""
        if record.place != place:
            return time.time() - record.beat > SILENT_SECONDS
        with ExitStack() as probe:
            return self._hold(record.trial.index, probe)

    def _place(self) -> str:
        """Returns a name for the folder that no other folder has, on any machine."""
        path = self.folder / "place"
        if not path.is_file():
            write_text(path, uuid.uuid4().hex)
        return path.read_text("utf-8")

    def _known(self, trials: Sequence[Trial], index: int) -> list[Trial]:
        """Returns the trials for which the one with that index waits, and by which it is drawn and pruned."""
        return [trial for trial in trials if trial.index <= index - self.settings.at_once]

    def _drawn(self, trials: Sequence[Trial], index: int) -> Trial:
        """Returns parameters that no earlier trial has, unless the space has no more or they are hard to find."""
        before = [trial for trial in trials if trial.index < index and trial.state != REPEATED]
        known = self._known(before, index)
        under_way = [trial for trial in before if trial not in known]
        objectives = OBJECTIVES[self.settings.objective]
        for attempt in range(DRAWS):
            seed = stream_seed(self.seed, "tune", index, attempt)
            startup = self.settings.startup if attempt < DRAWS // 2 else index + 1  # then evenly
            parameters = draw(self.space, known, under_way, objectives, startup, seed)
            if not any(trial.parameters == parameters for trial in before):
                return Trial(index, RUNNING, parameters)
        same = next(trial for trial in before if trial.parameters == parameters)
        return Trial(index, REPEATED, parameters, reason=f"the same as trial {same.index}")

    @contextmanager
    def _beating(self, record: Record) -> Iterator[None]:
        over = Event()

        def beat() -> None:
            while not over.wait(BEAT_SECONDS):
                self.store.beat(record, time.time())

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def watch(self, record: Record) -> Watch:
        """Record an evaluation of the trial, (step, F1); returns whether the trial continues."""
        known = self._known(self.trials(), record.trial.index)
        last = 100 * self.settings.folds  # there is nothing left to save
        steps: dict[int, float] = {}

        def seen(step: int, f1: float) -> bool:
            steps[step] = f1
            self.store.report(record, step, f1)
            asked = self.settings.pruner != "none" and step < last
            return not asked or not prunes(known, steps, self.settings.startup)

        return seen
