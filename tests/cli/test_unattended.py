"""A planned run that nobody watches: what fails, or what time has run out for, is left out by every later command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import TINY
from daguan.__main__ import main
from daguan.core.errors import DaguanError, DivergenceError
from daguan.core.files import read_json, write_json
from daguan.core.settings import load
from daguan.families.fold import FoldJob
from daguan.pipeline import pretrain
from daguan.pipeline.budget import measuring
from daguan.pipeline.engines.supervision import Supervisor
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages
from daguan.training.pretraining import Pretrainer
from in_process import in_process

HOUR = """
members: [tagger, other, ngram_crf]
ensemble: {other: {seed: 3, model: {head: softmax}}}
budget:
  minutes: 60
  rungs:
    - {folds: {count: 2, lines: 40}, train: {epochs: 1}}
"""
BRIEF = ["pretrain.tokens=0", "model.head=crf", "ngram_crf.iterations=5"]


@dataclass
class Jobs:
    """Records the jobs that are begun, and fails the chosen ones."""

    fails: Callable[[FoldJob], bool] = lambda job: False
    begun: list[str] = field(default_factory=list)

    def __call__(self, job: FoldJob) -> None:
        self.begun.append(job.name)
        if self.fails(job):
            raise DivergenceError("update 7: expected a finite loss, got nan")


@dataclass
class Contest:
    root: Path
    words: list[str]

    @property
    def plan(self) -> Path:
        (folder,) = (self.root / "work").glob("budget-*")
        return folder

    @property
    def dropped(self) -> dict[str, str]:
        return dict(read_json(self.plan / "dropped.json"))

    def blended(self) -> list[set[str]]:
        """Members of each blend there is."""
        blends = [read_json(folder / "manifest.json") for folder in (self.root / "work").glob("blend-*")]
        return [{run.rpartition("-")[0] for run in blend["depends_on"]["members"]} for blend in blends]

    def run(self, *commands: str, jobs: Jobs) -> list[int]:
        with in_process(before=jobs):
            return [main([command, str(self.root / "hour.yaml"), *self.words]) for command in commands]


def contest_in(root: Path, contest: Path) -> Contest:
    (root / "hour.yaml").write_text(HOUR, "utf-8")
    places = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return Contest(root, [*TINY, *BRIEF, *places])


@pytest.fixture(scope="module")
def hour(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Contest:
    """Run through, with a member that fails at its second fold."""
    made = contest_in(tmp_path_factory.mktemp("unattended"), contest)
    assert made.run("prepare", jobs=Jobs()) == [0]
    jobs = Jobs(lambda job: job.name == "tagger fold 1")
    assert made.run("pretrain", "train", "blend", "submit", "score", jobs=jobs) == [0] * 5
    assert jobs.begun[:2] == ["ngram_crf fold 0", "ngram_crf fold 1"]
    return made


def test_what_fails_is_dropped_and_the_others_are_submitted(hour: Contest) -> None:
    assert hour.dropped == {"tagger": "tagger fold 1: update 7: expected a finite loss, got nan"}
    assert hour.blended() == [{"other", "ngram_crf"}]
    (submission,) = (hour.root / "out").glob("*.txt")
    assert read_json(submission.with_suffix(".json"))["config"]["members"] == ["ngram_crf", "other"]
    preset = load(Settings, submission.with_suffix(".yaml"), [])
    assert Stages(preset).submission == submission


def test_the_same_commands_leave_it_out_again_and_say_so(hour: Contest, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in (hour.root / "out").glob("*.txt")}
    jobs = Jobs()
    assert hour.run("prepare", "pretrain", "train", "blend", "submit", "runs", jobs=jobs) == [0] * 6
    assert jobs.begun == []
    assert hour.blended() == [{"other", "ngram_crf"}]
    assert before == {path: path.read_bytes() for path in (hour.root / "out").glob("*.txt")}
    assert "budget: without tagger, which was dropped: tagger fold 1: update 7" in capsys.readouterr().err


def test_without_a_budget_the_same_error_ends_the_command(hour: Contest, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan's preset has none."""
    with in_process(before=Jobs(lambda job: job.name == "tagger fold 1")):
        assert main(["train", str(hour.plan / "plan.yaml")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("daguan: tagger fold 1: update 7")


def test_time_drops_what_is_not_trained_yet_and_given_back_it_is_trained(
    hour: Contest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of three members are done; the third gets a fold fewer, and then all of it."""
    (hour.plan / "dropped.json").unlink()
    write_json(hour.plan / "clock.json", {"seconds": 3_599.0})
    jobs = Jobs()
    assert hour.run("train", "blend", jobs=jobs) == [0, 0]
    assert jobs.begun == []
    assert set(hour.dropped) == {"tagger"}
    assert "budget: DROPPED tagger: 60.1 of 60 min used" in capsys.readouterr().err
    assert read_json(hour.plan / "clock.json")["seconds"] > 3_599
    assert hour.blended() == [{"other", "ngram_crf"}]
    (hour.plan / "dropped.json").unlink()
    write_json(hour.plan / "clock.json", {"seconds": 100.0})
    assert hour.run("train", "blend", jobs=jobs) == [0, 0]
    assert jobs.begun == ["tagger fold 1"]
    assert sorted(map(len, hour.blended())) == [2, 3]  # another blend, under another key


def test_a_trial_that_fails_leaves_its_member_out_of_the_plan(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = contest_in(tmp_path, contest)
    made.words.append("members=[tagger, ngram_crf]")
    assert made.run("prepare", jobs=Jobs(lambda job: True)) == [2]
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("daguan: ")
    assert "expected a finite loss" in message
    assert made.run("prepare", jobs=Jobs(lambda job: job.name == "ngram_crf fold 1")) == [0]
    assert "budget: the trial of ngram_crf FAILED: ngram_crf fold 1: update 7" in capsys.readouterr().err
    plan = read_json(made.plan / "plan.json")
    assert plan["changes"]["members"] == ["tagger"]
    assert set(plan["fold"]) == set(plan["rates"]["members"]) == {"tagger"}
    assert plan["fold"]["tagger"] >= plan["rates"]["members"]["tagger"]["starting"] >= 0


def test_a_trial_of_pretraining_that_fails_leaves_out_who_starts_from_it(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*_: object) -> float:
        raise DivergenceError("update 3: no number")

    monkeypatch.setattr(measuring, "measure_pretraining", diverge)
    made = contest_in(tmp_path, contest)
    made.words += ["pretrain.tokens=3072", "members=[tagger, ngram_crf]"]
    jobs = Jobs()
    assert made.run("prepare", jobs=jobs) == [0]
    assert {name.partition(" ")[0] for name in jobs.begun} == {"ngram_crf"}
    assert "FAILED: update 3: no number; no rung counts on members that start from it" in capsys.readouterr().err
    assert read_json(made.plan / "plan.json")["changes"]["members"] == ["ngram_crf"]
    made.words[-1] = "members=[tagger]"
    assert made.run("prepare", jobs=Jobs()) == [2]
    assert capsys.readouterr().err.splitlines()[-1] == "daguan: update 3: no number"


class Noting(Supervisor):
    def __init__(self, enough: int) -> None:
        self.enough, self.asked, self.lost = enough, 0, [""]

    def is_worth_making(self, members: object) -> bool:
        self.asked += 1
        return self.asked < self.enough

    def failed(self, error: DaguanError, *members: str) -> None:
        self.lost = [str(error), *members]


def test_pretraining_ends_when_told_and_its_failure_is_that_of_all_who_start_from_it(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest_in(tmp_path, contest)
    words = [*made.words, "budget.minutes=0", "pretrain.tokens=3072", "members=[tagger, alike, ngram_crf]"]
    words.append("ensemble.alike={model: {head: softmax}}")
    settings = load(Settings, tmp_path / "hour.yaml", words)
    assert main(["prepare", str(tmp_path / "hour.yaml"), *words]) == 0
    run = Stages(settings).pretrain("tagger")
    assert run is not None
    pretrain.make(settings, Noting(2))
    assert not run.finished

    def diverge(*_: object) -> None:
        raise DivergenceError("no number")

    with monkeypatch.context() as patch:
        patch.setattr(Pretrainer, "fit", diverge)
        supervisor = Noting(10**9)
        pretrain.make(settings, supervisor)
    assert supervisor.lost == ["no number", "tagger", "alike"]
    pretrain.make(settings, Supervisor())
    assert run.finished
