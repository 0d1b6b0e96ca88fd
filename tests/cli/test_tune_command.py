"""A real study on a tiny contest: what trials share, how they fail, and the preset that comes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.core.files import read_json
from daguan.families.job import result_of
from daguan.families.member import MemberSettings
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.pipeline.tuning.runner import Evaluations, varied
from daguan.pipeline.tuning.settings import TuneSettings
from daguan.training.fine_tuning_settings import TrainSettings
from fold_jobs import fold_job
from in_process import in_process

SPACE = (
    "{model.head: {choices: [crf, global_pointer]},"
    " model.label_smoothing: {choices: [0, 0.1], when: {model.head: global_pointer}},"
    " train.head_learning_rate: {choices: [0.01, 1.0e+30], when: {model.head: crf}}}"
)


@pytest.fixture(scope="module")
def words(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("tune")
    (root / "base.yaml").write_text(f"tune:\n  trials: 4\n  startup: 4\n  space: {SPACE}\n", "utf-8")
    places = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return [str(root / "base.yaml"), *TINY, "train.epochs=3", "pretrain.tokens=1024", "members=tagger", *places]


@pytest.fixture(scope="module")
def study(words: list[str]) -> Path:
    with in_process():
        assert main(["tune", *words]) == 0
    (folder,) = Path(load(words).data.work).glob("tune-*")
    return folder


@pytest.fixture(scope="module")
def trials(study: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_json(study / "trials.json")["trials"]
    return found


def test_every_combination_is_tried_once_and_what_fails_says_why(trials: list[dict[str, Any]]) -> None:
    assert len({json.dumps(trial["parameters"]) for trial in trials}) == 4
    for trial in trials:
        drawn = trial["parameters"]
        if drawn.get("model.label_smoothing"):
            unread = "expected 0.0 unless model.head has softmax or crf or span or pointer, got 0.1"
            expected = f"the trial: model.label_smoothing: {unread}"
            assert (trial["state"], trial["reason"]) == ("failed", expected)
        elif drawn.get("train.head_learning_rate") == 1e30:
            assert trial["state"] == "failed"
            assert "expected a finite loss, got " in trial["reason"]
        else:
            assert trial["state"] == "complete"
            assert list(trial["steps"]) == ["50", "100"]
            assert trial["outcome"]["f1"] == trial["steps"]["100"]


def test_evaluations_are_passed_on_once_and_at_their_share_of_the_fold() -> None:
    settings = MemberSettings(train=TrainSettings(evaluations=4))
    job = fold_job("tagger", 1, settings)
    seen: list[tuple[int, float]] = []

    def watch(step: int, f1: float) -> bool:
        seen.append((step, f1))
        return f1 < 0.7

    evaluations = Evaluations(job, watch)
    assert [evaluations.of(f1s) for f1s in ((), (0.5,), (0.5, 0.6), (0.5, 0.6), (0.5, 0.6, 0.7, 0.8))] == [
        True, True, True, True, False,
    ]  # fmt: skip
    assert seen == [(125, 0.5), (150, 0.6), (175, 0.7)]
    Evaluations(replace(job, settings=settings.replace(family="ngram_crf")), watch).of([0.4])
    assert seen[-1] == (200, 0.4)


def test_trials_share_data_and_encoder(study: Path) -> None:
    assert len(list(study.parent.glob("prepare-*"))) == 1
    (pretrained,) = study.parent.glob("pretrain-*/manifest.json")
    assert pretrained.is_file()
    assert len(list(study.parent.glob("tagger-*/fold0"))) == 3  # those whose settings go together
    assert len(list(study.parent.glob("tagger-*/fold1"))) == 1  # of the best


def test_the_best_preset_is_the_best_trial_and_is_scored_where_nothing_was_chosen(
    words: list[str], study: Path
) -> None:
    record = read_json(study / "trials.json")
    best = record["trials"][record["best"]]
    assert best["outcome"]["f1"] == max(trial["outcome"]["f1"] for trial in record["trials"] if trial["outcome"])
    found = load([str(study / "best.yaml")])
    expected = varied(load(words), best["parameters"])
    assert found == expected.replace(name="tiny-tuned", tune=found.tune)
    assert found.tune == TuneSettings()
    first, second = Stages(found).fold_jobs("tagger", threads=1)
    assert result_of(first)["f1"] == best["outcome"]["f1"]
    assert result_of(second)["f1"] == record["f1_on_other_folds"]
    judged = f"on the folds that no trial was scored on it has {100 * record['f1_on_other_folds']:.2f}."
    assert judged in (study / "study.md").read_text("utf-8")


def test_the_same_command_again_runs_nothing_and_writes_the_same(
    words: list[str], study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in study.iterdir() if path.suffix in (".json", ".md", ".yaml", ".svg")}
    assert len(before) == 5
    runs = set(study.parent.glob("*/*"))
    assert main(["tune", *words, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"study": str(study), **read_json(study / "trials.json")}
    assert {path: path.read_bytes() for path in before} == before
    assert set(study.parent.glob("*/*")) == runs


def test_what_changes_no_trial_changes_no_study(words: list[str], study: Path) -> None:
    from daguan.pipeline.tune import run_of_study

    def key(*more: str) -> str:
        return run_of_study(load([*words, *more])).path.name

    assert key("tune.trials=9", "tune.workers=1", "tune.timeout=5", "tune.storage=sqlite:///x.db") == study.name
    others = ("seed=1", "tune.folds=2", "tune.at_once=3", "tune.startup=2", "train.epochs=2", "pretrain.tokens=0")
    assert len({study.name, *map(key, others)}) == len(others) + 1
