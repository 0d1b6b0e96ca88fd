"""A budget on a tiny contest: planned once by `prepare`, followed by every other command, and a preset of its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from conftest import TINY
from daguan.__main__ import main
from daguan.core.files import read_json
from daguan.pipeline import settings as plain
from daguan.pipeline.budget import plan as budget
from daguan.pipeline.budget.choosing import Choice, choose
from daguan.pipeline.budget.costs import Facts, MemberRates, Rates, Work
from in_process import in_process

STAGES = ("prepare", "pretrain", "train", "blend", "submit", "score")
RUNGS = """
ensemble: {second: {train: {seed: 1}}}
budget:
  minutes: 60
  passes: 2
  rungs:
    - {members: [tagger, ngram_crf], folds: {count: 3}, train: {epochs: 1000000}}
    - {members: [tagger, ngram_crf], folds: {count: 2, lines: 40}, train: {epochs: 3}, pretrain: {tokens: 1024}}
    - {members: [ngram_crf]}
  spare: [second, tagger]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("budget")
    (root / "hour.yaml").write_text(RUNGS, "utf-8")
    (root / "empty.yaml").touch()
    return root


@pytest.fixture(scope="module")
def words(contest: Path, root: Path) -> list[str]:
    places = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return [*TINY, "train.lookahead_steps=6", "train.lookahead_alpha=0.8", *places]  # more steps than a trial has


@pytest.fixture(scope="module")
def plan(root: Path, words: list[str]) -> Path:
    """All stages in turn; the folder of the plan."""
    with in_process():
        for stage in STAGES:
            assert main([stage, str(root / "hour.yaml"), *words]) == 0
    (folder,) = (root / "work").glob("budget-*")
    return folder


def test_the_first_rung_that_fits_is_followed(root: Path, words: list[str], plan: Path) -> None:
    found = read_json(plan / "plan.json")
    settings = budget.load([str(root / "hour.yaml"), *words])
    assert (found["rung"], found["fits"]) == (1, True)
    assert sum(found["seconds"].values()) + found["planning"] <= 0.8 * 3600
    assert (settings.folds.count, settings.train.epochs, settings.budget.minutes) == (2, 3, 0)
    assert settings.pretrain.tokens > 1024
    assert settings.pretrain.tokens <= 2 * found["facts"]["text_tokens"]
    assert not (plan / "trials").exists()
    assert (settings.members, found["spare"]) == (("ngram_crf", "tagger", "second"), ["second"])
    assert "second" in found["fold"]


def test_spare_members_stand_where_nothing_more_is_to_be_made_for_them_and_they_fit(words: list[str]) -> None:
    """The tagger's encoder serves them; one that starts from another is left out, as is one whose trial failed."""
    spare = "budget.spare=[second, other, alone]"
    more = ("pretrain.tokens=1024", "ensemble.second={train: {seed: 1}}", "ensemble.other={seed: 5}")
    asked = plain.load([*words, *more, "ensemble.alone={family: ngram_crf, ngram_crf: {c1: 1}}", spare])
    rung = asked.replace(members=("ngram_crf", "tagger"))
    tried = ("ngram_crf", "tagger", "second", "other", "alone")
    assert budget.with_spare(rung) == tried
    assert budget.full_rung(rung, tried, lambda _: True).members == ("ngram_crf", "tagger", "second", "alone")
    assert budget.full_rung(rung, tried[:2], lambda _: True) == rung
    assert budget.full_rung(rung, tried, lambda _: False) == rung
    few = budget.full_rung(rung, tried, lambda full: len(full.members) <= 3)
    assert few.members == ("ngram_crf", "tagger", "second")
    alone = asked.replace(members=("ngram_crf",))
    assert budget.full_rung(alone, tried, lambda _: True).members == ("ngram_crf", "alone")


def test_a_plan_is_for_its_share_of_the_minutes_less_what_planning_took(
    root: Path, words: list[str], plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan also fits four fifths of the available memory."""
    found = read_json(plan / "plan.json")
    members = {name: MemberRates(**of) for name, of in found["rates"].pop("members").items()}
    made = Facts(**found["facts"]), Rates(**found["rates"], members=members)
    told: list[tuple[float, ...]] = []

    def noted(works: list[Work], facts: Facts, rates: Rates, limit: float, passes: float, room: float) -> Choice:
        told.append((limit, passes, room))
        return choose(works, facts, rates, limit, passes, room)

    monkeypatch.setattr(budget, "choose", noted)
    monkeypatch.setattr(budget, "tried", lambda *_: time.sleep(0.1) or made)
    monkeypatch.setattr(budget, "memory", lambda: 5e9)
    more = ("budget.share=0.6", "budget.minutes=20", f"data.work={tmp_path}")
    budget.planned(plain.load([str(root / "hour.yaml"), *words, *more]))
    (path,) = tmp_path.glob("budget-*/plan.json")
    planning = read_json(path)["planning"]
    assert planning > 0
    assert told == [(pytest.approx(0.6 * 20 * 60 - planning), 2, 4e9)]


def test_only_the_lines_drawn_take_part(root: Path, plan: Path) -> None:
    (prepared,) = (root / "work").glob("prepare-*")
    assert len((prepared / "train.txt").read_text("utf-8").split("\n")) == 40
    assert len(read_json(prepared / "folds.json")["fold_of_line"]) == 40


def test_the_plan_is_read_and_never_made_anew(
    root: Path, words: list[str], plan: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in plan.iterdir()}
    assert main(["prepare", str(root / "hour.yaml"), *words]) == 0
    assert "budget: done before" in capfd.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in plan.iterdir()} == before


def test_the_preset_is_the_same_configuration(root: Path, words: list[str], plan: Path) -> None:
    """Every stage of it is done, and the submission is the same file."""
    (submission,) = (root / "out").glob("*.txt")
    assert read_json(submission.with_suffix(".json"))["scored_lines"] == 40
    before = submission.read_bytes()
    runs = set((root / "work").iterdir())
    for stage in STAGES:
        assert main([stage, str(plan / "plan.yaml")]) == 0
    assert set((root / "work").iterdir()) == runs
    assert [path.read_bytes() for path in (root / "out").glob("*.txt")] == [before]


def test_the_minutes_used_are_said_last(
    root: Path, words: list[str], plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(root / "hour.yaml"), *words]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("budget: ")
    assert last.endswith(" of 60 minutes from plan to blend")


def test_what_is_not_planned_with_is_still_free(root: Path, words: list[str], plan: Path) -> None:
    asked = [str(root / "hour.yaml"), *words, "blend.method=mean", "plan.submissions=3"]
    assert budget.load(asked).folds.lines == 40
    assert budget.load(asked).blend.method == "mean"


def test_the_baseline_runs_alone_by_the_plan(root: Path, words: list[str], plan: Path) -> None:
    runs = set((root / "work").iterdir())
    assert main(["baseline", str(root / "hour.yaml"), *words]) == 0
    assert [path.name.partition("-")[0] for path in set((root / "work").iterdir()) - runs] == ["blend"]


def test_without_a_plan_one_line_says_what_to_run(
    root: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [str(root / "hour.yaml"), *words, "budget.minutes=61"]
    for stage in ("pretrain", "train", "blend", "submit", "score", "runs", "baseline"):
        assert main([stage, *asked]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "expected the plan of budget.minutes, got none; run: python -m daguan prepare " in line


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("budget.minutes=-1", "budget.minutes: expected at least 0, got -1.0"),
        ("budget.minutes=5", "budget.rungs: expected one or more with budget.minutes, got ()"),
        (
            "budget={minutes: 5, rungs: [{}], spare: [oracle]}",
            "budget.spare: expected tagger or ngram_crf or soup, got",
        ),
        ("budget.rungs=[{model: {head: crf}}]", "budget.rungs: expected in rung 0 any of members, folds.count"),
        ("budget.rungs=[{ensemble: {x: {seed: 1}}}]", "got 'ensemble.x.seed'"),
        ("folds.lines=1", "folds.lines: expected 0 or at least folds.count, 2, got 1"),
    ],
)
def test_nonsense_is_refused(
    root: Path, words: list[str], word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(root / "empty.yaml"), *words, word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_rung_that_does_not_fit_the_rest_is_named(
    root: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*words, "budget.minutes=5", "budget.rungs=[{members: [oracle]}]"]
    assert main(["prepare", str(root / "empty.yaml"), *asked]) == 2
    assert "rung 0: members: expected tagger or ngram_crf or soup, got 'oracle'" in capsys.readouterr().err


def test_members_that_need_others_are_not_estimated(
    root: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    student = "ensemble.student={pseudo_labels: {teachers: [ngram_crf]}}"
    asked = [*words, student, "budget.minutes=5", "budget.rungs=[{members: [student]}]"]
    assert main(["prepare", str(root / "empty.yaml"), *asked]) == 2
    assert "budget.rungs: expected members that need no other's run, got 'student'" in capsys.readouterr().err
