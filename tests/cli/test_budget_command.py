"""A budget on a tiny contest: `run` plans, other commands follow, and plan.yaml does it again without a clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import TINY, write_contest
from daguan.cli.app import main
from daguan.core.errors import DivergenceError, StoppedError
from daguan.core.files import read_json
from daguan.core.types import Sentence
from daguan.data.contest import Contest
from daguan.data.format import format_labelled, read_labelled, write_lines
from daguan.families.job import Job
from daguan.pipeline import doctor
from daguan.pipeline.budget import plan as budget
from daguan.pipeline.budget import play
from daguan.pipeline.doctor import Offer
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training import loop
from in_process import in_process

FOLLOWING = ("prepare", "pretrain", "train", "blend", "submit", "score")
HOUR = """
members: [ngram_crf, tagger, second]
ensemble: {second: {train: {seed: 1}}}
budget: {minutes: 5, passes: 2}
"""
BRIEF = ("train.epochs=3", "ngram_crf.iterations=5")


@dataclass
class Jobs:
    """Records the jobs that are begun, and fails those of a name."""

    fails: str = "none"
    begun: list[str] = field(default_factory=list)

    def __call__(self, job: Job) -> None:
        self.begun.append(job.name)
        if job.name.startswith(self.fails):
            raise DivergenceError("update 7: expected a finite loss, got nan")


@dataclass
class Hour:
    """A budget on the tiny contest, in a folder of its own."""

    root: Path
    words: list[str]

    @property
    def given(self) -> list[str]:
        return [str(self.root / "hour.yaml"), *self.words]

    @property
    def plan(self) -> Path:
        (folder,) = (self.root / "work").glob("budget-*")
        return folder

    @property
    def state(self) -> budget.State:
        return budget.read_state(self.plan)

    @property
    def submissions(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.root / "out").glob("*.txt")}

    def run(self, *commands: str, jobs: Jobs | None = None) -> list[int]:
        with in_process(before=jobs or Jobs()) as patch:
            patch.setattr(loop, "MEASURED_SECONDS", 0.0)
            return [main([command, *self.given]) for command in commands or ("run",)]


def hour_in(root: Path, contest: Path, *more: str) -> Hour:
    (root / "hour.yaml").write_text(HOUR, "utf-8")
    places = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return Hour(root, [*TINY, *BRIEF, *places, *more])


@pytest.fixture(scope="module")
def hour(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Hour:
    """One that was run through, with short allotments."""
    made = hour_in(tmp_path_factory.mktemp("budget"), contest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play.Player, "_allotted", lambda player, task: 0.02)
        patch.setattr(play.Player, "_is_worth_beginning", lambda player, task, seconds: True)
        jobs = Jobs()
        assert made.run(jobs=jobs) == [0]
    assert {"ngram_crf on all lines", "pretrain tagger", "ngram_crf fold 0", "second fold 0"} <= set(jobs.begun)
    return made


def test_every_number_is_fixed_in_the_plan_and_in_its_preset(hour: Hour) -> None:
    state, settings = hour.state, budget.load(hour.given)
    assert settings == load([str(hour.plan / "plan.yaml")]).replace(budget=settings.budget)
    assert (settings.budget.minutes, list(settings.members)) == (0.0, state.submitted)
    assert settings.folds.count == 3
    assert (settings.engine.workers, settings.engine.threads) == tuple(
        state.changes["engine"][name] for name in ("workers", "threads")
    )
    tagger, second = (state.numbers[member] for member in ("tagger", "second"))
    updates = tagger.get("updates", [1] * 3)  # without them, as many as the settings say
    assert len(updates) == 3
    assert all(1 <= number <= 3 * 20 for number in updates)
    whole = Stages(settings).prepare.manifest()["report"]["corpus"]["tokens"]
    assert 0 < tagger["pretrain"]["tokens"] <= 2 * whole
    assert second["pretrain"] == tagger["pretrain"]
    for member in state.submitted[1:]:
        assert settings.member(member).pretrain.tokens == tagger["pretrain"]["tokens"]


def test_the_preset_gives_the_same_bytes_in_an_empty_folder(hour: Hour, tmp_path: Path) -> None:
    with in_process():
        places = [f"data.work={tmp_path / 'work'}", f"data.submissions={tmp_path / 'out'}"]
        assert main(["run", str(hour.plan / "plan.yaml"), *places]) == 0
    (submission,) = (tmp_path / "out").glob("*.txt")
    assert {submission.name: submission.read_bytes()} == hour.submissions
    theirs = {path.name for path in (hour.root / "work").iterdir()}
    assert {path.name for path in (tmp_path / "work").iterdir()} <= theirs


def test_every_other_command_follows_the_plan_and_finds_its_work_done(
    hour: Hour, capsys: pytest.CaptureFixture[str]
) -> None:
    before, runs, jobs = hour.submissions, set((hour.root / "work").iterdir()), Jobs()
    assert hour.run("run", *FOLLOWING, jobs=jobs) == [0] * 7
    assert jobs.begun == []
    assert hour.submissions == before
    assert set((hour.root / "work").iterdir()) == runs
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("budget: ")
    assert last.endswith(" of 5 min used")


def test_what_is_not_planned_is_still_free(hour: Hour) -> None:
    asked = [*hour.given, "blend.method=mean", "plan.submissions=3", "engine.kind=local"]
    assert budget.load(asked).blend.method == "mean"


def test_a_killed_run_goes_on_and_every_job_that_was_done_is_kept(contest: Path, tmp_path: Path) -> None:
    made = hour_in(tmp_path, contest, "members=ngram_crf,tagger")

    def stopped(job: Job) -> None:
        jobs(job)
        if job.name == "tagger fold 2":
            raise StoppedError("stopped")

    jobs = Jobs()
    with in_process(before=stopped) as patch:
        patch.setattr(loop, "MEASURED_SECONDS", 0.0)
        assert main(["run", *made.given]) == StoppedError.exit_code
    assert len(made.submissions) == 1  # that of the first n-gram CRF, or of a blend
    done, seconds = set(jobs.begun) - {"tagger fold 2"}, made.state.seconds
    assert seconds > 0
    again = Jobs()
    assert made.run(jobs=again) == [0]
    assert not set(again.begun) & {name for name in done if "ngram_crf" in name or "pretrain" in name}
    assert "tagger fold 2" in again.begun
    assert made.state.seconds >= seconds
    assert made.state.submitted == ["ngram_crf", "tagger"]


def test_what_fails_is_dropped_and_the_others_are_submitted(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hour_in(tmp_path, contest)
    assert made.run(jobs=Jobs("tagger fold 1")) == [0]
    assert made.state.dropped == {"tagger": "tagger fold 1: update 7: expected a finite loss, got nan"}
    assert made.state.submitted == ["ngram_crf", "second"]
    assert "budget: DROPPED tagger: tagger fold 1: update 7" in capsys.readouterr().err


def test_a_pretraining_that_fails_drops_all_who_start_from_it(contest: Path, tmp_path: Path) -> None:
    made = hour_in(tmp_path, contest)
    assert made.run(jobs=Jobs("pretrain")) == [0]
    assert set(made.state.dropped) == {"tagger", "second"}
    assert made.state.submitted == ["ngram_crf"]
    (submission,) = (tmp_path / "out").glob("*.yaml")
    assert list(load([str(submission)]).members) == ["ngram_crf"]


def test_if_everything_fails_one_line_says_why(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hour_in(tmp_path, contest, "members=ngram_crf,tagger")
    assert made.run(jobs=Jobs("")) == [2]
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("daguan: budget.minutes=5: no member is complete: ")
    assert "ngram_crf fold" in last
    assert made.submissions == {}


def test_without_time_there_is_the_answer_of_the_first_ngram_crf(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hour_in(tmp_path, contest, "budget.minutes=0.3")
    assert made.run() == [2]
    (answer,) = (tmp_path / "out").glob("*.txt")
    assert len(answer.read_text("utf-8").splitlines()) == 16
    assert f"{answer} is what the first n-gram CRF answers" in capsys.readouterr().err.splitlines()[-1]


def test_a_better_submission_replaces_another_and_a_worse_one_does_not(
    hour: Hour, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state, submitted = hour.state, hour.state.submitted
    asked = load([*hour.given, f"data.submissions={tmp_path}"])
    for before, replaced in ((-1.0, True), (state.f1, True), (2.0, False)):
        state.f1, state.submitted = before, []
        player = play.Player(hour.plan, asked, state, play.Stopwatch())
        player.complete = [*submitted]
        player.submission.unlink(missing_ok=True)
        player._blend()
        assert player.submission.is_file() == replaced
        assert (state.submitted == submitted) == replaced


def test_without_a_plan_one_line_says_what_to_run(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hour_in(tmp_path, contest)
    for stage in ("pretrain", "train", "blend", "submit", "score", "runs", "baseline"):
        assert made.run(stage) == [2]
        (line,) = capsys.readouterr().err.splitlines()
        assert "expected the finished plan of budget.minutes, got none; run: python -m daguan run " in line


def test_prepare_takes_the_folds_of_the_plan(contest: Path, tmp_path: Path) -> None:
    made = hour_in(tmp_path, contest, "budget.minutes=0.01")
    assert made.run("prepare") == [0]
    (prepared,) = (tmp_path / "work").glob("prepare-*")
    folds = read_json(prepared / "folds.json")["fold_of_line"]
    assert max(folds) == 1
    assert len(folds) == made.state.changes["folds"]["lines"] < 61


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("budget.minutes=-1", "budget.minutes: expected at least 0, got -1.0"),
        ("budget.weights={oracle: 2}", "budget.weights: expected ngram_crf or tagger or second, got 'oracle'"),
        ("budget.weights={tagger: 0}", "budget.weights.tagger: expected more than 0, got 0"),
        ("updates=[3]", "updates: expected none of second, or one for each of 2 folds, got (3,)"),
        (
            "ensemble.second.pseudo_labels.teachers=tagger",
            "budget.minutes: expected 0 with second, which needs other members, got 5.0",
        ),
    ],
)
def test_nonsense_is_refused(
    contest: Path, tmp_path: Path, word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hour_in(tmp_path, contest, word)
    assert made.run() == [2]
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_first_answer_is_a_valid_submission(hour: Hour, contest: Path) -> None:
    from daguan.competition import gate

    assert gate.check(hour.plan / "first.txt", Contest(contest).test) == 16


LONG = "budget.minutes=600"  # which pays for ten folds
DOCUMENTS = [str(number % 8) for number in range(301)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "offered", lambda work: Offer("a processor", 2, 16e9, False, {}, (), 10**12))


def contest_of_texts(folder: Path, groups: list[str]) -> Path:
    """A contest of 301 texts, no two of which are equal, and their documents."""
    contest = write_contest(folder, train=300)
    lines = [
        Sentence((*line.tokens, f"n{i}"), line.spans) for i, line in enumerate(read_labelled(contest / "train.txt"))
    ]
    write_lines(contest / "train.txt", map(format_labelled, lines))
    if groups:
        (contest / "groups.txt").write_text("\n".join(groups), "utf-8")
    return contest


@pytest.mark.parametrize(
    ("groups", "words", "folds"),
    [
        (DOCUMENTS, [LONG], 8),
        ([min(name, "2") for name in DOCUMENTS], [LONG], 3),
        (DOCUMENTS, [LONG, "folds.group=1"], 10),
        ([], [LONG], 10),
        ([], [LONG, "folds.group=60"], 6),
        (DOCUMENTS, [LONG, "folds.lines=60"], 3),
        ([], [LONG, "folds.lines=60"], 3),
        ([], [LONG, "folds.lines=2"], 2),
        (["a"] * 300 + ["b"], ["budget.minutes=0.005"], 2),
    ],
)
@pytest.mark.usefixtures("quick")
def test_there_are_no_more_folds_than_documents_and_estimate_and_doctor_say_the_same(
    tmp_path: Path, groups: list[str], words: list[str], folds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hour_in(tmp_path, contest_of_texts(tmp_path / "contest", groups), "engine.workers=1", *words)
    assert main(["doctor", *made.given, "folds.count=2"]) == 0
    capsys.readouterr()
    assert main(["estimate", *made.given, "--tokens-per-second", "3000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sizes"]["folds"] == folds
    assert made.run("prepare") == [0]
    (prepared,) = (tmp_path / "work").glob("prepare-*")
    assert {*read_json(prepared / "folds.json")["fold_of_line"]} == {*range(folds)}


@pytest.mark.parametrize("minutes", ["0.005", "5", "600"])
@pytest.mark.usefixtures("quick")
def test_lines_of_one_document_are_refused_whatever_the_minutes(
    tmp_path: Path, minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hour_in(tmp_path, contest_of_texts(tmp_path / "contest", ["a"] * 301), f"budget.minutes={minutes}")
    for command in ("prepare", "doctor"):
        assert made.run(command) == [2]
        last = capsys.readouterr().err.splitlines()[-1]
        assert "folds.count: expected at most the 1 groups of training lines, got 2" in last


@pytest.mark.usefixtures("quick")
def test_a_budget_of_few_documents_is_well_whatever_the_count_of_folds_that_it_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contest = contest_of_texts(tmp_path / "contest", ["a"] * 150 + ["b"] * 151)
    made = hour_in(tmp_path, contest, "folds.count=5")
    assert made.run("doctor", "prepare") == [0, 0]
    capsys.readouterr()
    assert main(["doctor", *made.given, "budget.minutes=0"]) == 2
    assert "folds.count: expected at most the 2 groups" in capsys.readouterr().err
