"""The speeds that are measured are those of a configuration's own jobs; nothing of the measuring stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import TINY
from daguan.data.contest import Contest
from daguan.families.fold import FoldJob
from daguan.families.job import Job
from daguan.models.encoders.pieces import TEXTS
from daguan.pipeline.budget import measuring
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training import loop
from in_process import in_process
from public_encoders import bert_of_words, checkpoint, spelt_contest


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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MEASURED_SECONDS", 0.05)
    monkeypatch.setattr(measuring, "TRAINED", 0.05)
    monkeypatch.setattr(measuring, "LINES", 30)


@pytest.mark.parametrize("words", [["folds.group=30"], []])
def test_a_sample_of_few_documents_is_measured(contest: Path, tmp_path: Path, quick: None, words: list[str]) -> None:
    """More documents than folds in all, and one in the sample."""
    folder = shutil.copytree(contest, tmp_path / "long")
    (folder / "groups.txt").write_text("\n".join(str(number // 30) for number in range(61)))
    places = [f"data.dir={folder}", f"data.work={tmp_path / 'work'}", "members=ngram_crf"]
    asked = load([*TINY, *places, *words])
    with in_process():
        found = measuring.measure(asked, Stages(asked).contest, tmp_path / "sample")
    assert set(found.speeds.folds) == {"ngram_crf"}


@pytest.mark.parametrize("imported", [True, False])
def test_a_sample_has_the_words_of_its_contest(contest: Path, tmp_path: Path, imported: bool) -> None:
    spelt = spelt_contest(contest, tmp_path / "spelt")
    if imported:
        (spelt / "labels.tsv").write_text("a\tGene\n", "utf-8")
        (spelt / "import.json").write_text("{}", "utf-8")
    measuring.write_sample(Contest(spelt), tmp_path / "sample")
    for path in (spelt / "vocab.tsv", spelt / "labels.tsv", spelt / "import.json"):
        made = tmp_path / "sample" / path.name
        assert made.read_bytes() == path.read_bytes() if path.is_file() else not made.exists()


@pytest.mark.parametrize("further", [0, 3072])
def test_a_public_encoder_is_measured_by_its_own_size_and_words(
    contest: Path, tmp_path: Path, quick: None, further: int
) -> None:
    checkpoint(tmp_path / "pieces", "bert")
    (tmp_path / "counted").mkdir()
    counted = f"{{checkpoint: {bert_of_words(tmp_path / 'counted')}, counts: {tmp_path / 'counted/counts.txt'}}}"
    words = [
        f"ensemble.cut={{model: {{encoder: auto, pieces: first}}, encoder: {{checkpoint: {tmp_path / 'pieces'}}}}}",
        f"ensemble.ours={{model: {{encoder: bert}}, encoder: {counted}}}",
        "members=[cut, ours, ngram_crf]",
        "model.head=crf",
        f"pretrain.tokens={further}",
        f"data.dir={spelt_contest(contest, tmp_path / 'spelt')}",
        f"data.work={tmp_path / 'work'}",
        "engine.workers=1",
    ]
    asked, jobs = load([*TINY, *words]), list[Job]()
    with in_process(before=jobs.append):
        found = measuring.measure(asked, Stages(asked).contest, tmp_path / "sample")
    assert set(found.speeds.folds) == set(found.speeds.labels) == {"cut", "ours", "ngram_crf"}
    assert set(found.speeds.encoders) == ({"cut", "ours"} if further else set())
    starts = {job.member: Path(job.pretrained) for job in jobs if isinstance(job, FoldJob) and job.pretrained}
    assert {member: (start / TEXTS).is_file() for member, start in starts.items()} == {"cut": True, "ours": False}
    assert "heart" in (starts["cut"] / TEXTS).read_text("utf-8")
    assert all(json.loads((start / "config.json").read_text("utf-8"))["hidden_size"] == 16 for start in starts.values())


NAMING = ("conflicts.training=relabel", "conflicts.run=tagger-1a2b3c4d5e6f")


@pytest.mark.parametrize(
    ("words", "measured"),
    [
        ([*NAMING, "members=ngram_crf"], {"ngram_crf"}),
        (["ensemble.one={conflicts: {training: relabel, run: tagger-1}, family: ngram_crf}", "members=one"], {"one"}),
        (
            [*NAMING, "ensemble.one={conflicts: {run: a-1}, family: ngram_crf}", "members=[ngram_crf,one]"],
            {"ngram_crf"},
        ),
        (["blend.runs=[tagger-1,ngram_crf-2]", "members=ngram_crf"], {"ngram_crf"}),
        (
            [
                *NAMING,
                "ensemble.pupil={pseudo_labels: {teachers: [ngram_crf], weight: 1}}",
                "members=[ngram_crf,pupil]",
            ],
            {"ngram_crf"},
        ),
    ],
)
def test_runs_that_settings_name_are_not_looked_for_in_the_sample(
    contest: Path, tmp_path: Path, quick: None, words: list[str], measured: set[str]
) -> None:
    asked = load([*TINY, f"data.dir={contest}", f"data.work={tmp_path / 'work'}", *words])
    with in_process():
        found = measuring.measure(asked, Stages(asked).contest, tmp_path / "sample")
    assert set(found.speeds.folds) == measured
