"""What remains of a budget is divided so that the last job ends with it, whatever runs and waits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.pipeline.budget.allotment import (
    FOLD,
    FOLD_LINES,
    PRETRAIN,
    Task,
    folds_and_lines,
    largest_scale,
    makespan,
)

SECONDS = st.floats(0, 100)
TASKS = st.lists(
    st.tuples(st.floats(0.1, 5), SECONDS, st.one_of(st.just(math.inf), st.floats(1, 50)), st.booleans()),
    min_size=1,
    max_size=8,
)
FREE = st.lists(SECONDS, min_size=1, max_size=4)


def tasks_of(drawn: list[tuple[float, float, float, bool]]) -> list[Task]:
    """Some begin when their member's pretraining has ended."""
    start = Task(PRETRAIN, "m", weight=2.0)
    folds = [
        Task(FOLD, "m", number, weight, start.name if waits else "", overhead, most)
        for number, (weight, overhead, most, waits) in enumerate(drawn)
    ]
    return [start, *folds]


@given(TASKS, SECONDS, FREE)
def test_all_work_is_done_no_faster_than_workers_can_and_no_slower_than_one_alone(drawn, scale, free) -> None:
    tasks = tasks_of(drawn)
    lengths = [task.overhead + task.training(scale) for task in tasks]
    end = makespan(tasks, scale, free, {})
    assert end >= (sum(lengths) + sum(free)) / len(free) - 1e-6
    assert end <= max(free) + sum(lengths) + 1e-6
    first, *rest = tasks
    after = [task for task in rest if task.after]
    assert end >= min(free) + first.training(scale) + max((task.overhead for task in after), default=0.0) - 1e-6


@given(TASKS, FREE, st.floats(1, 1000))
def test_the_largest_scale_ends_by_the_limit_and_a_larger_one_does_not(drawn, free, limit) -> None:
    tasks = tasks_of(drawn)
    scale = largest_scale(tasks, free, {}, limit)
    if makespan(tasks, 0.0, free, {}) > limit:
        assert scale == pytest.approx(0.0, abs=1e-6)
        return
    assert makespan(tasks, scale, free, {}) <= limit + 1e-6
    saturated = all(task.training(scale) == task.most for task in tasks if task.most < math.inf)
    if not saturated or any(task.most == math.inf for task in tasks):
        more = scale * 1.001 + 0.01
        assert makespan(tasks, more, free, {}) > limit - 0.1 or scale >= limit


def test_three_equal_jobs_on_two_workers_get_half_of_the_time_each() -> None:
    tasks = [Task(FOLD, "m", fold) for fold in range(3)]
    assert largest_scale(tasks, [10.0, 10.0], {}, 110.0) == pytest.approx(50.0)


def test_short_jobs_fill_the_time_in_which_others_wait_for_a_pretraining() -> None:
    start = Task(PRETRAIN, "m", most=60.0)
    folds = [Task(FOLD, "m", fold, after=start.name, most=30.0) for fold in range(2)]
    short = [Task(FOLD, "n", fold, most=20.0) for fold in range(3)]
    assert makespan([*short, start, *folds], 1e9, [0.0, 0.0], {}) == 110.0  # 20 + 20 | 20, 60; then 30 | 30
    assert makespan([start, *short, *folds], 1e9, [0.0, 0.0], {}) == 90.0


def test_a_task_comes_after_one_that_runs() -> None:
    start = Task(PRETRAIN, "m")
    fold = Task(FOLD, "m", after=start.name, most=5.0)
    assert makespan([fold], 9.0, [0.0, 40.0], {start.name: 40.0}) == 45.0
    assert makespan([fold], 9.0, [0.0, 40.0], {}) == 40.0  # it has ended


@given(st.integers(100, 10**7), st.floats(10, 1e5), st.floats(1, 10))
def test_more_time_never_gives_fewer_folds_or_lines(tokens, seconds, more) -> None:
    lines = max(2, tokens // 30)
    count, part = folds_and_lines(tokens, lines, lines, seconds)
    then, then_part = folds_and_lines(tokens, lines, lines, seconds * more)
    assert 2 <= count <= then
    assert (part or lines) <= (then_part or lines)
    assert part == 0 or 2 <= part < max(3, lines)


@given(st.integers(2, 2_000), st.floats(10, 1e5))
def test_a_small_contest_has_few_folds_and_one_of_200_lines_or_more_as_many_as_the_minutes_pay_for(lines, seconds):
    count, _ = folds_and_lines(40 * lines, lines, lines, seconds)
    assert count == 2 or lines // count >= FOLD_LINES
    if lines >= 200:
        assert count == folds_and_lines(40 * lines, 10**6, 10**6, seconds)[0]


def test_folds_of_small_contests_by_hand() -> None:
    folds = [folds_and_lines(40 * lines, lines, lines, 2_400.0) for lines in (24, 60, 119, 200, 300)]
    assert folds == [(2, 0), (3, 0), (5, 0), (10, 0), (10, 0)]


@given(st.integers(2, 2_000), st.integers(1, 30), st.floats(10, 1e5))
def test_there_are_no_more_folds_than_units_but_two_and_otherwise_as_many_as_without_units(lines, units, seconds):
    count, part = folds_and_lines(40 * lines, lines, units, seconds)
    free, same_part = folds_and_lines(40 * lines, lines, lines, seconds)
    assert (count, part) == (max(2, min(free, units)), same_part)
