"""The speeds that are measured are those of a configuration's own jobs; nothing of the measuring stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import TINY
from daguan.data.contest import Contest
from daguan.families.job import Job
from daguan.pipeline.budget import measuring
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training import loop
from in_process import in_process


def test_each_member_is_measured_once_on_a_sample(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MEASURED_SECONDS", 0.05)
    monkeypatch.setattr(measuring, "TRAINED", 0.05)
    monkeypatch.setattr(measuring, "LINES", 40)
    words = ["ensemble={second: {train: {seed: 1}}}", "members=[tagger, second, ngram_crf]", "engine.workers=1"]
    asked = load([*TINY, *words, f"data.dir={contest}", f"data.work={tmp_path / 'work'}"])
    jobs: list[Job] = []
    with in_process(before=jobs.append):
        found = measuring.measure(asked, Stages(asked).contest, tmp_path / "sample")
    assert sorted(job.name for job in jobs) == ["ngram_crf fold 0", "pretrain tagger", "second fold 0", "tagger fold 0"]
    assert set(found.speeds.encoders) == {"tagger", "second"}  # which share one encoder
    assert len({*found.speeds.encoders.values()}) == 1
    assert set(found.speeds.folds) == set(found.speeds.labels) == {"tagger", "second", "ngram_crf"}
    assert all(speed > 0 for speed in (*found.speeds.folds.values(), *found.speeds.labels.values()))
    assert len((tmp_path / "sample/contest/train.txt").read_text("utf-8").splitlines()) == 40
    assert not (tmp_path / "work").exists()


def test_as_many_folds_of_a_member_as_fit_run_side_by_side_without_evaluations(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "TRAINED", 0.05)
    words = ["members=[tagger, ngram_crf]", "engine.workers=2", "folds.count=3", "pretrain.tokens=0"]
    asked = load([*TINY, *words, f"data.dir={contest}", f"data.work={tmp_path / 'work'}", "train.evaluations=3"])
    jobs: list[Job] = []
    monkeypatch.setattr(loop, "MEASURED_SECONDS", 0.05)
    with in_process(before=jobs.append):
        measuring.measure(asked, Stages(asked).contest, tmp_path / "sample")
    assert sorted(job.name for job in jobs) == [
        "ngram_crf fold 0",
        "ngram_crf fold 1",
        "tagger fold 0",
        "tagger fold 1",
    ]
    assert {job.settings.train.evaluations for job in jobs} == {1}


def test_a_sample_has_the_documents_of_its_lines(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "contest"
    folder.mkdir()
    for path in contest.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "groups.txt").write_text("\n".join(str(number // 3) for number in range(61)))
    monkeypatch.setattr(measuring, "LINES", 30)
    measuring.write_sample(Contest(folder), tmp_path / "sample")
    assert Contest(tmp_path / "sample").read_groups(30)[-1] == "9"
