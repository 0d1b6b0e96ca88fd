"""The engine is a row of a table; a setting chooses it, and no run's key depends on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import TINY
from daguan.core.errors import ConfigError
from daguan.core.progress import Bar
from daguan.core.tables import Row
from daguan.families.job import Job
from daguan.pipeline import prepare
from daguan.pipeline.budget.plan import run_of_plan
from daguan.pipeline.engines.running import Watch, run_jobs
from daguan.pipeline.engines.table import ENGINES
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.engine_settings import EngineSettings

RAY = ["engine.kind=ray", "engine.address=host:1", "engine.memory=9"]
RESULT = {"held_out_lines": 0, "seconds": 1.0, "test_tokens_per_second": 9}


class Recorder:
    """An engine that writes a result for each job."""

    def check(self, settings: EngineSettings, work: Path) -> None:
        raise NotImplementedError

    def at_once(self, jobs: Sequence[Job], workers: int) -> int:
        return workers

    def run(self, job: Job, bar: Bar, watch: Watch) -> bool:
        Path(job.folder).mkdir(parents=True)  # fails the second time
        (Path(job.folder) / "result.json").write_text(json.dumps(RESULT), "utf-8")
        return True

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        pass


def test_the_setting_chooses_the_engine_and_is_in_no_key(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "recorder", Row(f"{__name__}:Recorder"))
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path}", "pretrain.tokens=0"]
    settings, other = load(words), load([*words, "engine.kind=recorder"])
    prepare.make(settings)
    stages, others = Stages(settings), Stages(other)
    assert stages.blend == others.blend
    planned = [run_of_plan(load([*words, *more, "budget.minutes=9"])) for more in ([], ["engine.kind=recorder"], RAY)]
    assert planned[0] == planned[1] == planned[2]
    jobs = [replace(job, folder=str(tmp_path / job.name)) for job in others.fold_jobs("tagger", threads=1)]
    run_jobs(jobs, 2)
    assert all(job.finished for job in jobs)
    run_jobs(jobs, 2)  # nothing is done twice


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"engine\.kind: expected local or ray, got 'abacus'"):
        load(["engine.kind=abacus"])
