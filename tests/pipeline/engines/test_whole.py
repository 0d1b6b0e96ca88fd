"""The line of the whole run: how many jobs are done, and the time to the end of the last one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from daguan.core.progress import Row
from daguan.pipeline.engines import whole
from daguan.pipeline.engines.whole import Whole


class Job:
    """A bar that is as far as a test says."""

    def __init__(self, share: float | None, left: float | None, begun: float | None = 0.0) -> None:
        self.shown, self.begun = Row("job", share, seconds_left=left), begun

    def row(self) -> Row:
        return self.shown


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(whole, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


def test_nothing_is_promised_before_a_job_says_anything(now: SimpleNamespace) -> None:
    jobs = Whole("all jobs", {"a0": "a", "a1": "a"})
    assert jobs.row() == Row("all jobs", 0.0, "0 of 2 jobs done", None)


def test_the_time_to_the_end_by_hand(now: SimpleNamespace) -> None:
    """Two kinds, two jobs at a time: `a` takes 10 s, `b` 100 s."""
    jobs = Whole("all jobs", {"a0": "a", "a1": "a", "b0": "b", "b1": "b"})
    bars: dict[str, Any] = {"a0": Job(0.5, 5.0), "b0": Job(0.05, 95.0)}
    for name, bar in bars.items():
        jobs.give(name, bar)
    now.seconds = 5.0
    assert jobs.row() == Row("all jobs", 0.55 / 4, "0 of 4 jobs done", (5 + 95 + 10 + 100) / 2)
    now.seconds = 10.0
    jobs.end("a0")
    bars["b0"].shown = Row("job", 0.1, seconds_left=90.0)
    assert jobs.row() == Row("all jobs", 1.1 / 4, "1 of 4 jobs done", (90 + 10 + 100) / 2)


def test_the_last_job_is_waited_for(now: SimpleNamespace) -> None:
    jobs = Whole("all jobs", {"a0": "a"})
    bar: Any = Job(0.5, 60.0)
    jobs.give("a0", bar)
    assert jobs.row().seconds_left == 60


def test_jobs_that_wait_in_a_cluster_are_not_yet_under_way(now: SimpleNamespace) -> None:
    """The engine has six jobs of 10 s, of which two run at a time. What waited and then ended took 10 s, too."""
    jobs = Whole("all jobs", {f"a{number}": "a" for number in range(6)})
    waiting: dict[str, Any] = {f"a{number}": Job(None, None, None) for number in range(6)}
    for name, bar in waiting.items():
        jobs.give(name, bar)
    for name in ("a0", "a1"):
        waiting[name].begun, waiting[name].shown = 0.0, Row("job", 0.5, seconds_left=5.0)
    now.seconds = 5.0
    assert jobs.seconds_left() == (2 * 5 + 4 * 10) / 2
    now.seconds = 10.0
    jobs.end("a0")
    jobs.end("a1")
    waiting["a2"].begun = 10.0
    now.seconds = 12.0
    assert jobs.seconds_left() == (8 + 3 * 10) / 2  # as two were seen to run together
