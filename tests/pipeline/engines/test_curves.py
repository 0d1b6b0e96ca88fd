"""Curves for TensorBoard: refused before any work where it is missing, and read back by its own reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.core.errors import ConfigError
from daguan.core.progress import Bar, Progress
from daguan.families.fold import FoldJob
from daguan.families.job import Job
from daguan.pipeline import settings
from daguan.pipeline.budget.plan import run_of_plan
from daguan.pipeline.engines.running import Watch, do_job
from daguan.pipeline.settings import load
from daguan.training.engine_settings import EngineSettings

REPORTS = [
    Progress(100, 400, "tok", 2.0, (), "", 1e-3, 1.0),
    Progress(200, 400, "tok", 1.0, (0.25,), "", 5e-4, 3.0),
    Progress(300, 400, "tok", 0.5, (0.25,), "", 2.5e-4, 4.0),
    Progress(400, 400, "tok", 0.25, (0.25, 0.75), "predicting", 0.0, 4.5),
]


class Reporting:
    """An engine whose jobs report what a test says."""

    def __init__(self, reports: Sequence[Progress]) -> None:
        self.reports = reports

    def run(self, job: Job, bar: Bar, watch: Watch) -> bool:
        Path(job.folder).mkdir(exist_ok=True)
        return all(watch(report) for report in self.reports)

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        pass


def job_in(folder: Path, tensorboard: bool) -> FoldJob:
    made = load(TINY)
    return FoldJob(
        settings=made.member("tagger"), engine=EngineSettings(tensorboard=tensorboard), folder=str(folder),
        prepared="", threads=1, member="tagger", fold=0, folds=2, train="", test="",
    )  # fmt: skip


def test_without_tensorboard_the_setting_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    load(TINY)
    expected = "engine.tensorboard: expected the package tensorboard, got none; run: pip install 'daguan[tensorboard]'"
    with pytest.raises(ConfigError) as refused:
        load([*TINY, "engine.tensorboard=true"])
    assert str(refused.value) == expected
    assert main(["run", *TINY, "engine.tensorboard=true"]) == 2
    assert capsys.readouterr().err == f"daguan: {expected}\n"


def test_a_job_has_no_curves_unless_it_is_to_have_some(tmp_path: Path) -> None:
    assert do_job(Reporting(REPORTS), job_in(tmp_path / "job", False), Bar("job"), lambda progress: True)
    assert list((tmp_path / "job").iterdir()) == []


def test_the_curves_are_in_no_key(contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "require_tensorboard", lambda engine: None)
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path}", "budget.minutes=9"]
    planned = [run_of_plan(load([*words, *more])) for more in ([], ["engine.tensorboard=true"])]
    assert planned[0] == planned[1]


def test_the_curves_are_what_tensorboards_own_reader_reads(tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    job, seen = job_in(tmp_path / "job", True), list[Progress]()
    for first, last in ((0, 2), (2, 4)):  # a resumed job adds to its curves
        bar = Bar("job")
        assert do_job(Reporting(REPORTS[first:last]), job, bar, lambda progress: seen.append(progress) is None)
    assert seen == REPORTS
    found = reading.EventAccumulator(job.folder)
    found.Reload()
    curves = {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}
    assert curves == {
        "tok a second": [(200, 100 / 2.0), (400, 100 / 0.5)],
        "loss": [(100, 2.0), (200, 1.0), (300, 0.5), (400, 0.25)],
        "learning rate": [(step, pytest.approx(rate)) for step, rate in zip((100, 200, 300, 400), RATES, strict=True)],
        "held-out F1": [(200, 0.25), (300, 0.25), (400, 0.75)],
    }


RATES = [report.rate for report in REPORTS]


def test_a_job_that_reports_nothing_leaves_no_curves(tmp_path: Path) -> None:
    job = replace(job_in(tmp_path / "job", True), fold=1)
    assert do_job(Reporting([]), job, Bar("job"), lambda progress: True)
    assert list((tmp_path / "job").iterdir()) == []
