"""Members dropped under a budget, for lack of time or after a failure; never the last; known to the next command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daguan.core.files import read_json
from daguan.core.runs import CHECKPOINT
from daguan.families.fold import FoldJob
from daguan.pipeline.budget.costs import COMMAND
from daguan.pipeline.budget.supervisor import BudgetSupervisor, Clock, read_dropped
from daguan.pipeline.engines.running import WorkerError
from fold_jobs import fold_job

PLAN = {
    "minutes": 10.0,
    "fold": {"safe": 10.0, "large": 60.0, "small": 20.0, "taught": 20.0},
    "seconds": {"blend": 20.0, "submit and score": 10.0},
    "spare": ["small"],
}
AFTER = 30.0
NEEDS = {"safe": ["safe"], "large": ["large"], "small": ["small"], "taught": ["large", "taught"]}
FOLDS, WORKERS = 3, 2


def supervisor(folder: Path, worked: float = 0.0) -> BudgetSupervisor:
    return BudgetSupervisor(folder, PLAN, NEEDS, FOLDS, WORKERS, worked - COMMAND)


def jobs(member: str, folds: int = FOLDS) -> list[FoldJob]:
    return [fold_job(member, fold) for fold in range(folds)]


def test_a_member_starts_if_its_folds_and_what_follows_still_fit(tmp_path: Path) -> None:
    """By as many workers as there are."""
    one, *_ = waiting = [*jobs("large"), *jobs("small")]
    latest = 600 - 120 - AFTER
    assert supervisor(tmp_path, latest - 2).starts(one, waiting)
    assert read_dropped(tmp_path) == {}
    late = supervisor(tmp_path, latest + 2)
    assert not late.starts(one, waiting)
    assert not late.keeps("large")
    assert late.starts(waiting[-1], waiting)  # a cheaper one still fits
    more = (120 + AFTER) / 60
    assert read_dropped(tmp_path)["large"].endswith(f"of 10 min used; this member needs {more:.1f} more")


@pytest.mark.parametrize("folds_left", [1, 2, 3])
def test_what_was_begun_before_a_kill_goes_on_while_what_follows_fits(tmp_path: Path, folds_left: int) -> None:
    """A fold was done, or has a checkpoint."""
    waiting = [replace(job, folder=str(tmp_path / f"fold{job.fold}")) for job in jobs("large", folds_left)]
    if folds_left == FOLDS:
        assert not supervisor(tmp_path / "new", 600 - AFTER - 5).starts(waiting[0], waiting)
        (tmp_path / "fold1").mkdir()
        (tmp_path / "fold1" / CHECKPOINT).touch()
    assert supervisor(tmp_path, 600 - AFTER - 5).starts(waiting[0], waiting)
    assert not supervisor(tmp_path, 600 - AFTER + 5).starts(waiting[0], waiting)


def test_later_folds_of_what_was_begun_are_not_estimated_again(tmp_path: Path) -> None:
    one, two, _ = jobs("large")
    watching = supervisor(tmp_path, 600 - 120 - AFTER - 2)
    assert watching.starts(one, jobs("large"))
    watching.clock = Clock(tmp_path / "later.json", 600 - AFTER - 5 - COMMAND)
    assert watching.starts(two, jobs("large"))


@pytest.mark.parametrize(("taken", "pace"), [(0.0, 0.4), (45.0, 0.6), (112.5, 1.5)])
def test_a_spare_member_is_estimated_at_the_pace_of_those_before(tmp_path: Path, taken: float, pace: float) -> None:
    """Four folds of 50 seconds each on two workers; the last of them still occupies one."""
    plan = PLAN | {"fold": PLAN["fold"] | {"large": 50.0, "safe": 50.0}}
    before = [*jobs("safe", 2), *jobs("large", 2)]  # of what an earlier command began

    def at(left: float) -> BudgetSupervisor:
        worked = 600 - AFTER - left
        watching = BudgetSupervisor(tmp_path / f"{left}", plan, NEEDS, FOLDS, WORKERS, worked - taken - COMMAND)
        for job in before:
            assert watching.starts(job, before)
        watching.clock = Clock(tmp_path / f"{left}.json", worked - COMMAND)
        return watching

    spare = jobs("small")
    assert at(pace * 40 + 2).starts(spare[0], spare)
    assert not at(pace * 40 - 2).starts(spare[0], spare)
    fresh = supervisor(tmp_path / "fresh", 600 - AFTER - 38)
    assert not fresh.starts(spare[0], spare)  # nothing tells its pace
    assert at(pace * 40 + 2).starts(jobs("taught")[0], jobs("taught")) == (pace * 40 + 2 >= 40)  # as planned


def test_what_is_being_trained_ends_when_nothing_but_the_blend_fits(tmp_path: Path) -> None:
    assert supervisor(tmp_path, 600 - AFTER - 2).goes_on("large")
    late = supervisor(tmp_path, 600 - AFTER + 2)
    assert not late.goes_on("large")
    assert late.goes_on("safe")
    assert set(read_dropped(tmp_path)) == {"large"}


def test_the_first_that_is_left_goes_on_whatever_the_time(tmp_path: Path) -> None:
    late = supervisor(tmp_path, 10_000)
    for member in NEEDS:
        late.starts(jobs(member)[0], jobs(member))
    assert [member for member in NEEDS if late.keeps(member)] == ["safe"]
    other = tmp_path / "other"
    late = supervisor(other, 10_000)
    late.failed(WorkerError("killed"), "safe")
    for member in NEEDS:
        late.starts(jobs(member)[0], jobs(member))
    assert [member for member in NEEDS if late.keeps(member)] == ["large"]


def test_a_failure_drops_the_member_and_whom_it_teaches_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = supervisor(tmp_path)
    for fold in range(2):
        watching.failed(WorkerError(f"large fold {fold}: no number"), "large")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("budget: DROPPED large: large fold 0: no number; continuing with safe, small (")
    again = supervisor(tmp_path)
    for one in (watching, again):
        assert [member for member in NEEDS if one.keeps(member)] == ["safe", "small"]
        assert not one.starts(jobs("taught")[0], jobs("taught"))
        assert one.starts(jobs("small")[0], jobs("small"))


def test_where_all_fail_the_error_is_raised_and_all_are_tried_again(tmp_path: Path) -> None:
    watching = supervisor(tmp_path)
    watching.failed(WorkerError("no number"), "large", "small")
    with pytest.raises(WorkerError, match="killed"):
        watching.failed(WorkerError("killed"), "safe")
    assert all(supervisor(tmp_path).keeps(member) for member in NEEDS)


@pytest.mark.parametrize(("members", "seconds"), [(["large", "small"], 40.0 + 20.0), (["large"], 120.0 + 20.0)])
def test_what_members_start_from_is_made_while_one_of_them_can_still_be_trained(
    tmp_path: Path, members: list[str], seconds: float
) -> None:
    """After the first, which goes on whatever the time, as does what it starts from."""
    latest = 600 - seconds - AFTER
    assert supervisor(tmp_path, latest - 2).is_worth_making(members)
    late = supervisor(tmp_path, latest + 2)
    assert late.is_worth_making(["safe", *members])
    assert not late.is_worth_making(members)
    assert set(read_dropped(tmp_path)) == set(members)


def test_a_pause_does_not_count_and_a_commands_start_does(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    first = Clock(path, 100.0)
    assert 100 + COMMAND <= first.seconds < 105 + COMMAND
    first.tick()
    assert not path.exists()  # too soon
    first.keep()
    kept = read_json(path)["seconds"]
    assert kept == pytest.approx(first.seconds, abs=5)
    assert kept + COMMAND <= Clock(path, 0.0).seconds < kept + COMMAND + 5
