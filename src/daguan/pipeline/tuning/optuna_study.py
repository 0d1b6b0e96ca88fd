"""The only module that uses Optuna: storages that several processes share, draws, prunings, importances.

Draws and prunings are functions of the given trials: each builds a study in memory from them, so that neither a
generator's state nor the moment matters.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from daguan.core.errors import CheckpointError, ConfigError, WriteError
from daguan.core.files import naming
from daguan.pipeline.tuning.settings import F1, SECONDS, Axis
from daguan.pipeline.tuning.space import Parameters, Space
from daguan.pipeline.tuning.trials import COMPLETE, FAILED, PRUNED, REPEATED, RUNNING, Outcome, Trial, fold_of

optuna.logging.set_verbosity(optuna.logging.WARNING)

STATES = {
    RUNNING: TrialState.RUNNING,
    COMPLETE: TrialState.COMPLETE,
    PRUNED: TrialState.PRUNED,
    FAILED: TrialState.FAIL,
    REPEATED: TrialState.FAIL,
}
DIRECTIONS = {F1: StudyDirection.MAXIMIZE, SECONDS: StudyDirection.MINIMIZE}
NO_ANSWER = (SQLAlchemyError, StorageInternalError, ImportError)
TRIES, TRY_SECONDS = 5, 0.5  # to open a database
FEWEST = 5  # the smallest number of trials for importances
DIGITS = 4  # digits of drawn numbers, so that a preset stays readable


@dataclass(frozen=True)
class Record:
    """A trial in the storage.

    Attributes:
        number: Optuna's number, in the order of recording.
        place: the folder that works on it.
        beat: the time of its last sign of life, in seconds since 1970.
        void: it does not count; another record replaces it.
    """

    id: int
    number: int
    place: str
    beat: float
    void: bool
    trial: Trial


@contextmanager
def answering() -> Iterator[None]:
    """Raises ConfigError: the storage is not there, or no more."""
    try:
        yield
    except NO_ANSWER as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"tune.storage: expected a database that answers, got: {said}") from None


class Store:
    """The records of one study. Every record is complete: a killed process leaves no partial one."""

    def __init__(self, storage: str, folder: Path, name: str, objectives: Sequence[str]) -> None:
        """Raises ConfigError if there is no such storage."""
        self.objectives = objectives
        directions = [DIRECTIONS[objective] for objective in objectives]
        with answering():
            self._storage = _opened(storage, folder)
            optuna.create_study(storage=self._storage, study_name=name, directions=directions, load_if_exists=True)
            self._study = self._storage.get_study_id_from_name(name)

    def records(self) -> list[Record]:
        return [_record(frozen) for frozen in self._storage.get_all_trials(self._study)]

    def begin(self, trial: Trial, space: Space, place: str, now: float) -> Record:
        """Record a new trial together with everything that is known of it."""
        about = {"index": trial.index, "state": trial.state, "reason": trial.reason, "outcome": None}
        frozen = _frozen(trial, space, [], about | {"place": place, "beat": now})
        made = self._storage.create_new_trial(self._study, template_trial=frozen)
        return _record(self._storage.get_trial(made))

    def beat(self, record: Record, now: float) -> None:
        """Record a sign of life. A lost one does no harm: there will be another."""
        with suppress(*NO_ANSWER, WriteError):
            self._update(record, {"beat": now})

    def void(self, record: Record) -> None:
        """Make it count no more. Its finished runs stay."""
        if self._update(record, {"void": True}):
            self._end(record, TrialState.FAIL, None)

    def report(self, record: Record, step: int, f1: float) -> None:
        """Record an evaluation; nothing is recorded for a trial that another process has given up."""
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_intermediate_value(record.id, step, f1)

    def finish(self, record: Record, state: str, outcome: Outcome | None = None, reason: str = "") -> bool:
        """Record how it ended; returns False if another process has done so."""
        values = [getattr(outcome, objective) for objective in self.objectives] if outcome else None
        told = self._update(record, {"state": state, "reason": reason, "outcome": asdict(outcome) if outcome else None})
        return told and self._end(record, STATES[state], values)

    def _update(self, record: Record, attributes: Mapping[str, Any]) -> bool:
        try:
            for name, value in attributes.items():
                self._storage.set_trial_user_attr(record.id, name, value)
        except UpdateFinishedTrialError:
            return False
        return True

    def _end(self, record: Record, state: TrialState, values: list[float] | None) -> bool:
        try:
            return self._storage.set_trial_state_values(record.id, state, values)
        except UpdateFinishedTrialError:
            return False


class _Lock(JournalFileOpenLock):
    """A lock around each write; the system frees it when its holder is killed, which no lock of Optuna does."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._journal = path
        self._held = FileLock(path.with_suffix(".lock"))

    def acquire(self) -> bool:
        self._held.acquire()
        self._drop_half_a_line()
        return True

    def _drop_half_a_line(self) -> None:
        """Drop what a full disk or a power loss left of a record that was being written."""
        with self._journal.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            if file.read(1) not in (b"", b"\n"):
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)

    def release(self) -> None:
        self._held.release()


class _Journal(JournalFileBackend):
    """A journal whose records are written whole, or not at all for a reader."""

    def __init__(self, path: Path, lock: _Lock) -> None:
        super().__init__(str(path), lock)
        self._journal = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records. Raises WriteError: the disk is full."""
        with naming(self._journal):
            super().append_logs(logs)


def _opened(storage: str, folder: Path) -> BaseStorage:
    if storage:
        return _database(storage)
    path = folder / "journal.log"
    lock = _Lock(path)
    backend = _Journal(path, lock)
    lock.acquire()
    try:
        _check_journal(path)
    finally:
        lock.release()
    return JournalStorage(backend)


def _check_journal(path: Path) -> None:
    """Raises CheckpointError: a line in the middle is damaged."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            good = "op_code" in json.loads(line)
        except (ValueError, TypeError):
            good = False
        if not good:
            raise CheckpointError(
                f"{path}:{number}: expected a record of the study, got a damaged one; delete this file, and the same "
                "command begins the study again: folds that are trained are taken as they are"
            )


def _database(storage: str) -> BaseStorage:
    """Returns the database's storage. No connection outlives its use, so none is found dead after hours of training."""
    tries = 0
    while True:
        tries += 1
        try:
            return RDBStorage(storage, engine_kwargs={"poolclass": NullPool})
        except (RuntimeError, AssertionError) as error:  # what Optuna raises for tables of another version
            said = " ".join(str(error).split()) or "no version"
            raise ConfigError(f"tune.storage: expected tables of Optuna {optuna.__version__}, got: {said}") from None
        except DBAPIError:  # another machine may be making the same tables
            if tries == TRIES:
                raise
        time.sleep(TRY_SECONDS)


def _record(frozen: FrozenTrial) -> Record:
    """Raises ConfigError: another program has written the trial."""
    try:
        return _own_record(frozen)
    except (KeyError, TypeError, ValueError):
        expected = "a study of which only this program writes trials"
        raise ConfigError(f"tune.storage: expected {expected}, got trial {frozen.number} of another") from None


def _own_record(frozen: FrozenTrial) -> Record:
    about = frozen.user_attrs
    parameters = {path: _plain(frozen.distributions[path], value) for path, value in frozen.params.items()}
    ended = frozen.state.is_finished()
    trial = Trial(
        about["index"],
        about["state"] if ended else RUNNING,
        parameters,
        dict(sorted(frozen.intermediate_values.items())),
        Outcome(**about["outcome"]) if ended and about["outcome"] else None,
        about["reason"],
    )
    return Record(frozen._trial_id, frozen.number, about["place"], about["beat"], "void" in about, trial)


def _frozen(
    trial: Trial, space: Space, values: Sequence[float], attributes: Mapping[str, Any] | None = None
) -> FrozenTrial:
    distributions = {path: _distribution(space, path) for path in trial.parameters}
    return create_trial(
        state=STATES[trial.state],
        values=list(values) or None,
        params={path: _stored(distributions[path], value) for path, value in trial.parameters.items()},
        distributions=distributions,
        user_attrs=dict(attributes or {}),
        intermediate_values=dict(trial.steps),
    )


def _distribution(space: Space, path: str) -> BaseDistribution:
    axis = space.axes[path]
    if axis.choices:
        return CategoricalDistribution([_text(choice) for choice in axis.choices])
    if path in space.whole:
        return IntDistribution(int(axis.low), int(axis.high), axis.log, int(axis.step) or 1)
    return FloatDistribution(axis.low, axis.high, axis.log, axis.step or None)


def _text(choice: Any) -> str:
    return json.dumps(choice, ensure_ascii=False)


def _stored(distribution: BaseDistribution, value: Any) -> Any:
    return _text(value) if isinstance(distribution, CategoricalDistribution) else value


def _plain(distribution: BaseDistribution, value: Any) -> Any:
    return json.loads(value) if isinstance(distribution, CategoricalDistribution) else value


def draw(
    space: Space, known: Sequence[Trial], under_way: Sequence[Trial], objectives: Sequence[str], startup: int, seed: int
) -> Parameters:
    """Returns the parameters of the next trial, from the known ones, away from those that are running."""
    sampler = TPESampler(n_startup_trials=startup, seed=seed % 2**32, multivariate=not space.conditional)
    study = _study(space, known, objectives, sampler=sampler)
    for trial in under_way:
        study.add_trial(_frozen(Trial(trial.index, RUNNING, trial.parameters), space, []))
    asked = study.ask()
    drawn: Parameters = {}
    for path, axis in space.axes.items():
        if space.applies(path, drawn):
            drawn[path] = _suggested(asked, path, axis, path in space.whole)
    return drawn


def _suggested(asked: optuna.Trial, path: str, axis: Axis, whole: bool) -> Any:
    if axis.choices:
        return json.loads(asked.suggest_categorical(path, [_text(choice) for choice in axis.choices]))
    if whole:
        return asked.suggest_int(path, int(axis.low), int(axis.high), step=int(axis.step) or 1, log=axis.log)
    value = asked.suggest_float(path, axis.low, axis.high, step=axis.step or None, log=axis.log)
    return value if axis.step else min(max(float(f"{value:.{DIGITS}g}"), axis.low), axis.high)


def prunes(known: Sequence[Trial], steps: Mapping[int, float], startup: int) -> bool:
    """Whether the last of these evaluations is a reason to end the trial (Golovin et al. 2017, Vizier §3.2.2).

    A fold's best is compared with other trials' values on that fold only, as folds differ in difficulty.
    """
    study = _study(Space({}, frozenset()), known, (F1,), pruner=MedianPruner(n_startup_trials=startup))
    asked = study.ask()
    fold = fold_of(max(steps))
    for step, f1 in steps.items():
        if fold_of(step) == fold:
            asked.report(f1, step)
    return asked.should_prune()


def importances(space: Space, trials: Sequence[Trial]) -> dict[str, float]:
    """Returns the share of each setting in the variation of F1 over the finished trials, largest first.

    By PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255); empty for fewer than five trials, or if F1 does not vary.
    """
    scored = [trial for trial in trials if trial.outcome]
    if len(scored) < FEWEST or len({trial.outcome.f1 for trial in scored if trial.outcome}) < 2:
        return {}
    found = optuna.importance.get_param_importances(_study(space, scored, (F1,)))
    return {path: found[path] for path in sorted(found, key=lambda path: (-found[path], path))}


def _study(space: Space, known: Sequence[Trial], objectives: Sequence[str], **how: Any) -> Study:
    """Returns a study in memory. With several objectives it knows no pruned trials."""
    study = optuna.create_study(directions=[DIRECTIONS[objective] for objective in objectives], **how)
    for trial in known:
        if trial.outcome:
            values = [getattr(trial.outcome, objective) for objective in objectives]
            study.add_trial(_frozen(_within(trial, space), space, values))
        elif trial.state == PRUNED and len(objectives) == 1 and trial.steps:
            study.add_trial(_frozen(_within(trial, space), space, [trial.steps[max(trial.steps)]]))
    return study


def _within(trial: Trial, space: Space) -> Trial:
    """Returns the record without the parameters that the space does not have."""
    return Trial(trial.index, trial.state, {p: v for p, v in trial.parameters.items() if p in space.axes}, trial.steps)
