"""A member that the minutes do not pay for trains while workers would wait, and takes next to nothing from others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from conftest import TINY
from daguan.pipeline.budget.allotment import FOLD, PRETRAIN, Task, largest_scale, makespan
from daguan.pipeline.budget.estimates import GAP_KEPT, LEAST_SHARE, least_seconds, lighter, share_that_pays
from daguan.pipeline.settings import Settings, load

LIMIT = 3_400.0
EPOCHS = 12  # of the member that may join


@pytest.fixture
def settings() -> Settings:
    ensemble = f"ensemble={{second: {{seed: 1, train: {{epochs: {EPOCHS}}}}}}}"
    return load([*TINY, "members=[ngram_crf, tagger, second]", ensemble])


def large_contest(folds: int, epoch: float) -> tuple[list[Task], list[Task]]:
    """Returns the tasks of an n-gram CRF and a tagger, and these with a member without a pretraining of its own whose
    epoch takes so many seconds."""
    start = Task(PRETRAIN, "tagger", weight=0.35, overhead=20.0, most=1e6)
    crf = [Task(FOLD, "ngram_crf", fold, 0.65 / folds, "", 30.0, 230.0) for fold in range(folds)]
    tagger = [Task(FOLD, "tagger", fold, 0.65 / folds, start.name, 75.0, 3_000.0) for fold in range(folds)]
    second = [Task(FOLD, "second", fold, 0.39 / folds, "", 50.0, EPOCHS * epoch) for fold in range(folds)]
    return [start, *crf, *tagger], [start, *crf, *tagger, *second]


def scale_of(workers: int, tasks: Sequence[Task]) -> float:
    return largest_scale(tasks, [75.0] * workers, {}, LIMIT)


@pytest.mark.parametrize("folds", [3, 5])
@pytest.mark.parametrize("epoch", [30.0, 120.0, 180.0, 240.0, 900.0])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_member_in_gaps_gets_enough_and_others_lose_next_to_nothing(
    settings: Settings, folds: int, epoch: float, workers: int
) -> None:
    before, tasks = large_contest(folds, epoch)
    scale = partial(scale_of, workers)
    share = share_that_pays(settings, "second", before, tasks, scale)
    joined = lighter(tasks, {"second": share})
    if 0 < share < 1:
        given, own = scale(joined), [task for task in joined if task.member == "second"]
        assert given >= GAP_KEPT * scale(before)
        assert makespan(joined, given, [75.0] * workers, {}) <= LIMIT + 1e-6
        assert all(task.training(given) >= LEAST_SHARE * least_seconds(settings, task) for task in own)
    if workers == 1:
        assert share in (0.0, 1.0)  # one worker never waits


def test_a_cheap_member_joins_where_an_odd_fold_leaves_a_worker_without_work(settings: Settings) -> None:
    shares = [
        share_that_pays(settings, "second", *large_contest(3, epoch), partial(scale_of, 2)) for epoch in (200, 900)
    ]
    assert 0 < shares[0] < 1
    assert shares[1] == 0.0


def test_a_lighter_member_has_less_weight_and_others_have_their_own() -> None:
    _, tasks = large_contest(3, 100.0)
    for task, found in zip(tasks, lighter(tasks, {"second": 0.25}), strict=True):
        assert found.weight == task.weight * (0.25 if task.member == "second" else 1.0)
        assert (found.name, found.after, found.most) == (task.name, task.after, task.most)
