"""A whole budget on a simulated machine: jobs, blends and the clock are made up; the minutes are used and kept."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
from filelock import FileLock

from conftest import TINY
from daguan.core.errors import CheckpointError, StoppedError
from daguan.core.files import write_json
from daguan.core.progress import Bar
from daguan.core.runs import CHECKPOINT, ENVIRONMENT, MANIFEST, Run, folder_lock
from daguan.core.types import Score
from daguan.data.format import format_labelled, write_lines
from daguan.families.fold import FoldJob
from daguan.families.job import PLANNED, RESULT, Job
from daguan.pipeline import prepare
from daguan.pipeline.budget import play
from daguan.pipeline.budget.allotment import folds_and_lines
from daguan.pipeline.budget.estimates import Sizes
from daguan.pipeline.budget.plan import State, read_state
from daguan.pipeline.budget.play import Player
from daguan.pipeline.engines.running import Watch
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.pipeline.work.pretrain import PretrainJob

MEMBERS = "members=[ngram_crf, tagger, second, third]"
ENSEMBLE = "ensemble={second: {seed: 1}, third: {seed: 2}}"
TOKENS = 40  # of a line
SPEED, ITERATIONS = 4_000.0, 300_000.0  # tokens a second of pretraining; tokens times iterations of the n-gram CRF


@dataclass
class Clock:
    seconds: float = 6.0


@dataclass
class Machine:
    """An engine of one worker, where everything takes `slow` times as long after each step, and training `later` times
    as long as the first seconds of a job let it expect."""

    player: Player
    clock: Clock
    slow: Sequence[float]
    later: float = 1.0
    jobs: int = 0

    @property
    def factor(self) -> float:
        return self.slow[min(self.jobs, len(self.slow) - 1)]

    def run(self, job: Job, bar: Bar, watch: Watch) -> bool:
        self.jobs += 1
        sizes, folder = self.player.sizes, Path(job.folder)
        result: dict[str, object] = {"test_tokens_per_second": 1}
        if isinstance(job, PretrainJob):
            each, most = 2048 / SPEED, round(job.settings.pretrain.tokens / 2048)
            result["tokens_per_second"] = SPEED / self.factor
            labelling = 0.0
        else:
            assert isinstance(job, FoldJob)
            tokens = sizes.fold_tokens if job.fold < sizes.folds else min(sizes.tokens, job.lines * TOKENS)
            crf = job.member == "ngram_crf"
            each = tokens / ITERATIONS if crf else 16 * TOKENS / (0.4 * SPEED)
            most = (
                job.settings.ngram_crf.iterations if crf else round(job.settings.train.epochs * tokens / (16 * TOKENS))
            )
            held_out = sizes.tokens / sizes.folds if job.fold < sizes.folds else 0.0
            result["tokens_per_second"] = 0.4 * SPEED / self.factor
            labelling = (held_out + sizes.test_tokens) / (3 * SPEED)
        updates = (
            0
            if isinstance(job, PretrainJob) and job.measures
            else max(1, min(most, int(PLANNED * job.seconds / (each * self.factor))))
        )
        for _ in range(20):  # the neighbours may come or go while the job works
            self.clock.seconds += updates * each * self.factor * self.later / 20
            self.player._watch_time()
            if self.player.over and job.name != "ngram_crf on all lines":
                raise StoppedError("stopped")
        trained = updates * each * self.factor * self.later
        self.clock.seconds += (8 + labelling) * self.factor
        about = {"seconds": trained, "updates": updates, "most_updates": most, "tokens": updates * 2048}
        scored = {"held_out_lines": 1, "held_out": asdict(Score(1, 1, 1)), "f1": 1.0, "training_lines": 1}
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RESULT, result | about | (scored if isinstance(job, FoldJob) else {}))
        return True

    def run_command(self, words: Sequence[str], log: Path, threads: int) -> None:
        settings = load(list(words[1:]))
        blend = Stages(settings).blend
        self.clock.seconds += self.factor * 0.8 * self.player.sizes.blend_seconds(len(settings.members))
        score = {"span": {"f1": len(settings.members) / 10}}
        blend.finish(1.0, final="blend", out_of_fold={"blend": score})
        test = Stages(settings).prepared.test

        write_lines(blend.path / "blend.txt", (format_labelled(replace(line, spans=())) for line in test))

    def stop(self) -> None:
        pass


def played(
    contest: Path, root: Path, monkeypatch: pytest.MonkeyPatch, lines: int, minutes: float, slow: Sequence[float],
    later: float = 1.0,
) -> tuple[Player, Clock]:  # fmt: skip
    words = [*TINY, f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    words += [MEMBERS, ENSEMBLE, "engine.workers=1", "ngram_crf.iterations=100", f"budget.minutes={minutes}"]
    asked = load(words)
    count, part = folds_and_lines(lines * TOKENS, lines, lines, 60 * minutes)
    engine = {"precision": "float32", "workers": 1, "threads": 2}
    state = State({"folds": {"count": count, "lines": 0}, "engine": engine})
    prepare.make(state.followed(asked, asked.members))
    clock = Clock()
    taking = part or lines
    sizes = Sizes(taking, taking * TOKENS, 2 * taking, 4, 500 * TOKENS, 2 * lines * TOKENS, count)
    monkeypatch.setattr(Sizes, "of", classmethod(lambda cls, stages: sizes))
    folder = root / "work" / "budget-1"
    folder.mkdir()
    player = Player(folder, asked, state, clock)  # type: ignore[arg-type]
    machine = Machine(player, clock, slow, later)
    player.engine = player.blender = machine
    monkeypatch.setattr(play, "engine_of", lambda settings: machine)
    monkeypatch.setattr(
        Player,
        "_submit_first",
        lambda self, path: self.submission.parent.mkdir(exist_ok=True) or self.submission.touch(),
    )
    player.play()
    return player, clock


UNTIL_FOLDS = (*[4.0] * 9, 0.25)
BUSY = (1.0, 1.0, 1.0, 1.7, 1.7, 1.0, 2.0, 1.0, 1.5)


@pytest.mark.parametrize("slow", [(1.0,), (1.6,), BUSY], ids=["quiet", "busy", "now and then"])
@pytest.mark.parametrize(
    ("lines", "minutes", "least"),
    [
        (300, 5, 0.92),
        (1_350, 15, 0.92),
        (4_000, 15, 0.92),
        (4_000, 60, 0.92),
        (17_000, 30, 0.92),
        (45_000, 5, 0.88),  # there a blend takes a sixth of the time, of which too much is kept free
        (45_000, 120, 0.92),
    ],
)
def test_the_minutes_are_used_and_never_exceeded(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    lines: int, minutes: float, least: float, slow: Sequence[float],
) -> None:  # fmt: skip
    player, clock = played(contest, tmp_path, monkeypatch, lines, minutes, slow)
    share, state = clock.seconds / (60 * minutes), player.state
    assert share <= 1.0
    all_that_pays = len(state.submitted) == 4 and not any("updates" in changes for changes in state.numbers.values())
    assert share >= least or all_that_pays


@pytest.mark.parametrize("later", [0.8, 1.1, 1.2])
@pytest.mark.parametrize(("lines", "minutes"), [(1_350, 15), (4_000, 60), (17_000, 60)])
def test_no_member_is_lost_to_a_last_fold_that_takes_longer_than_it_was_measured_to_take(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, minutes: float, later: float
) -> None:
    player, clock = played(contest, tmp_path, monkeypatch, lines, minutes, (1.0,), later)
    assert not player.state.dropped
    assert player.state.submitted == player.state.members
    assert clock.seconds <= 60 * minutes


def test_where_no_more_training_pays_the_run_ends_and_says_so(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    player, clock = played(contest, tmp_path, monkeypatch, 300, 120, (1.0,))
    assert player.state.submitted == ["ngram_crf", "tagger", "second", "third"]
    assert clock.seconds < 60 * 60
    assert "of 120 min, as no member that takes part can use more" in capsys.readouterr().err


def test_the_first_members_take_part_and_more_of_them_in_more_time(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = []
    for minutes in (10.0, 30.0, 120.0):
        (tmp_path / str(minutes)).mkdir()
        player, _ = played(contest, tmp_path / str(minutes), monkeypatch, 4_000, minutes, (1.0,))
        members.append(player.state.submitted)
    assert members[0] == ["ngram_crf", "tagger"]
    assert members[2] == ["ngram_crf", "tagger", "second", "third"]
    assert members[0] <= members[1] <= members[2]


@pytest.mark.parametrize("then", [(4.0, 4.0, 4.0, 1.0), UNTIL_FOLDS], ids=["first jobs", "until a tagger's folds"])
def test_members_that_a_busy_start_left_out_take_part_when_the_minutes_pay_for_them_after_all(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    then: Sequence[float],
) -> None:  # fmt: skip
    submitted = []
    for slow in ((4.0,), then):
        (tmp_path / str(len(slow))).mkdir()
        player, clock = played(contest, tmp_path / str(len(slow)), monkeypatch, 4_000, 100, slow)
        submitted.append(player.state.submitted)
        assert clock.seconds <= 100 * 60
    assert submitted[0] == ["ngram_crf", "tagger"]
    assert len(submitted[1]) > 2
    assert "pay for second after all" in capsys.readouterr().err


def test_a_member_that_is_let_in_late_starts_from_the_pretraining_that_the_others_share(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player, _ = played(contest, tmp_path, monkeypatch, 4_000, 100, UNTIL_FOLDS)
    stages = Stages(player.settings)
    starts = {stages.pretrain(member).path.name for member in player.state.submitted if member != "ngram_crf"}
    assert len(player.state.submitted) > 2
    assert {path.name for path in (tmp_path / "work").glob("pretrain-*")} == starts


def test_a_run_gets_its_name_after_the_plan_has_stored_what_the_name_follows_from(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves, move = list[tuple[State, Path]](), play._move

    def noted(folder: Path, run: Run) -> None:
        moves.append((read_state(folder.parent), run.path))
        move(folder, run)

    monkeypatch.setattr(play, "_move", noted)
    player, _ = played(contest, tmp_path, monkeypatch, 300, 5, (1.0,))
    for stored, into in moves:
        stages = Stages(stored.followed(player.requested, player.requested.members, player.requested.budget))
        members = player.requested.members
        assert into in {run.path for one in members for run in (stages.train(one), stages.pretrain(one)) if run}
    assert len(moves) > len(player.state.submitted)  # pretraining, too
    assert any("updates" in changes for changes in player.state.numbers.values())


LEFT = {
    "begun": [ENVIRONMENT],
    "with a fold": [ENVIRONMENT, f"fold0/{CHECKPOINT}", "fold0/job.json"],
    "with a start": [ENVIRONMENT, CHECKPOINT, ".lock"],
    "with a finished fold": [ENVIRONMENT, f"fold0/{RESULT}", f"fold1/{CHECKPOINT}"],
}


def left_by_a_stopped_command(work: Path, names: Sequence[str], files: Sequence[str]) -> None:
    for name in names:
        for file in files:
            (work / name / file).parent.mkdir(parents=True, exist_ok=True)
            (work / name / file).write_text("{}", "utf-8")


def runs_of(player: Player) -> list[Run]:
    """The runs that a finished plan gave their names."""
    stages = Stages(player.settings)
    starts = {run.path: run for member in player.state.submitted if (run := stages.pretrain(member))}
    return [*map(stages.train, player.state.submitted), *starts.values()]


@pytest.mark.parametrize("files", LEFT.values(), ids=LEFT)
def test_what_a_stopped_command_left_in_the_folder_of_a_run_gives_way_to_the_finished_one(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Sequence[str]
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    player, _ = played(contest, tmp_path / "one", monkeypatch, 300, 5, (1.0,))
    names = [run.path.name for run in runs_of(player)]
    left_by_a_stopped_command(tmp_path / "other" / "work", names, files)
    again, _ = played(contest, tmp_path / "other", monkeypatch, 300, 5, (1.0,))
    assert [run.path.name for run in runs_of(again)] == names
    for run, same in zip(runs_of(player), runs_of(again), strict=True):
        assert same.finished
        assert {path.relative_to(same.path) for path in same.path.rglob("*")} == {
            path.relative_to(run.path) for path in run.path.rglob("*")
        }
    assert {path.name for path in (tmp_path / "other" / "work" / "budget-1").iterdir()} == {
        path.name for path in (tmp_path / "one" / "work" / "budget-1").iterdir()
    }


def made_folder(root: Path) -> tuple[Path, Run]:
    """A finished folder in a plan, and the run that it is to become."""
    run = Run(root / "member-1", "member", "1", {}, {})
    folder = root / "budget-1" / "member"
    folder.mkdir(parents=True)
    replace(run, path=folder).finish(1.0, by="the plan")
    return folder, run


def test_a_run_that_somebody_else_has_finished_is_kept(tmp_path: Path) -> None:
    folder, run = made_folder(tmp_path)
    run.finish(1.0, by="another")
    play._move(folder, run)
    assert run.manifest()["by"] == "another"


@pytest.mark.parametrize("place", ["", "fold1"])
def test_a_run_that_another_process_works_on_is_left_alone_and_given_its_name_later(tmp_path: Path, place: str) -> None:
    folder, run = made_folder(tmp_path)
    left_by_a_stopped_command(tmp_path, [run.path.name], ["fold0/job.json", f"fold1/{CHECKPOINT}"])
    with FileLock(run.path / place / ".lock"), pytest.raises(CheckpointError, match="expected to work here alone"):
        play._move(folder, run)
    assert (run.path / "fold1" / CHECKPOINT).is_file()
    assert (folder / MANIFEST).is_file()
    play._move(folder, run)
    assert run.manifest()["by"] == "the plan"
    assert not (run.path / "fold1").exists()


def test_a_submission_waits_for_the_lock_of_its_folder(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a `submit` at the same moment would take its temporary file for one that a kill has left."""
    player, _ = played(contest, tmp_path, monkeypatch, 300, 5, (1.0,))
    answer, before = tmp_path / "answer.txt", player.submission.read_bytes()
    answer.write_bytes(before)
    player.submission.unlink()
    with ThreadPoolExecutor(1) as other:
        with folder_lock(player.submission.parent, wait=True):
            writing = other.submit(player._write_submission, answer)
            with pytest.raises(TimeoutError):
                writing.result(timeout=0.3)
            assert not player.submission.exists()
        writing.result(timeout=60)
    assert player.submission.read_bytes() == before
