"""A study's storage that a crash, another version or another program has written into."""

from __future__ import annotations

import errno
import re
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from fake_study import SPACE, Fake, settings_of
from optuna.storages.journal import JournalFileBackend

from daguan.core.errors import CheckpointError, ConfigError, WriteError
from daguan.pipeline.tuning.search import search
from daguan.pipeline.tuning.study import Study
from daguan.pipeline.tuning.trials import Trial


def trials_of(folder: Path, trials: int, storage: str = "") -> list[Trial]:
    study = Study.open(folder / "study", SPACE, settings_of(1, storage, trials), seed=7)
    search(study, Fake(folder / "ran.txt"), workers=1)
    return study.trials()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    return trials_of(tmp_path_factory.mktemp("whole"), 4)


@pytest.mark.parametrize("cut", [1, 20, 64])
@pytest.mark.parametrize("tail", [b"", b"\0" * 64, b'{"op_code": 4'])
def test_half_a_last_line_is_dropped_and_the_study_goes_on(
    tmp_path: Path, whole: list[Trial], cut: int, tail: bytes
) -> None:
    trials_of(tmp_path, 3)
    journal = tmp_path / "study" / "journal.log"
    journal.write_bytes(journal.read_bytes()[:-cut] + tail)
    assert [trial.parameters for trial in trials_of(tmp_path, 4)] == [trial.parameters for trial in whole]
    assert [trial.state for trial in trials_of(tmp_path, 4)] == [trial.state for trial in whole]


def test_what_a_full_disk_leaves_under_an_open_study_is_dropped_too(tmp_path: Path, whole: list[Trial]) -> None:
    study = Study.open(tmp_path / "study", SPACE, settings_of(1, trials=4), seed=7)
    with (tmp_path / "study" / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code": 4, "worker')
    search(study, Fake(tmp_path / "ran.txt"), workers=1)
    assert study.trials() == whole


def test_a_full_disk_under_the_journal_is_one_line_and_the_same_study_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[Trial]
) -> None:
    journal = tmp_path / "study" / "journal.log"
    append, written = JournalFileBackend.append_logs, 0

    def fill(backend: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        """Leave half a line of the record at which the disk is full."""
        nonlocal written
        written += 1
        if written == 9:
            with journal.open("ab") as file:
                file.write(b'{"op_code": 7, "worker')
        if written >= 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(backend, logs)

    with monkeypatch.context() as full:
        full.setattr(JournalFileBackend, "append_logs", fill)
        with pytest.raises(WriteError, match=rf"^{re.escape(str(journal))}: expected to write here, got: .*No space"):
            trials_of(tmp_path, 4)
        with pytest.raises(WriteError, match=re.escape(str(journal))):
            trials_of(tmp_path, 4)
    assert trials_of(tmp_path, 4) == whole


def test_a_sign_of_life_that_finds_the_disk_full_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.open(tmp_path / "study", SPACE, settings_of(1), seed=7)
    with study.claimed() as record:
        assert record is not None

        def fill(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(JournalFileBackend, "append_logs", fill)
        study.store.beat(record, 1.0)


@pytest.mark.parametrize("damage", [b"\0\0\0", b'{"op_code": 4, "wor', b"7", b"[]", b"\xff"])
def test_damage_in_the_middle_is_named_with_its_line_and_a_remedy(tmp_path: Path, damage: bytes) -> None:
    trials_of(tmp_path, 2)
    journal = tmp_path / "study" / "journal.log"
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:3], damage, *lines[4:]]))
    with pytest.raises(CheckpointError, match=rf"^{re.escape(str(journal))}:4: expected .*; delete this file"):
        trials_of(tmp_path, 3)


@pytest.mark.parametrize(
    "change",
    [
        "update alembic_version set version_num='v2.6.0.a'",
        "update alembic_version set version_num='v99.0.0.a'",
        "delete from alembic_version; update version_info set schema_version=11",
    ],
)
def test_tables_of_another_optuna_are_one_line(tmp_path: Path, change: str) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    trials_of(tmp_path, 1, storage)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.executescript(change)
    database.close()
    with pytest.raises(ConfigError, match=r"^tune.storage: expected tables of Optuna [\d.]+, got: [^\n]+$"):
        trials_of(tmp_path, 2, storage)


@pytest.mark.parametrize(
    "attributes", [{}, {"index": 0}, {"index": 0, "state": "x", "reason": "", "outcome": {"a": 1}}]
)
def test_trials_of_another_program_are_one_line(tmp_path: Path, attributes: dict[str, object]) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    trials_of(tmp_path, 1, storage)
    theirs = optuna.load_study(study_name="study", storage=storage)
    theirs.add_trial(optuna.trial.create_trial(value=0.5, user_attrs=attributes))
    with pytest.raises(ConfigError, match=r"^tune.storage: expected a study of which only .*, got trial 1 of another$"):
        trials_of(tmp_path, 2, storage)
