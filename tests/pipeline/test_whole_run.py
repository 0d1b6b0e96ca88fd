"""The line of a whole run: the jobs of all its stages, and the time to its end once each stage has measured it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import TINY
from daguan.core import progress
from daguan.core.files import write_json
from daguan.core.progress import Row
from daguan.families.job import RESULT
from daguan.pipeline import prepare, whole_run
from daguan.pipeline.engines import whole
from daguan.pipeline.engines.whole import Whole
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.pipeline.whole_run import WholeRun


def bar(share: float, left: float, begun: float) -> Any:
    return SimpleNamespace(row=lambda: Row("job", share, seconds_left=left), begun=begun)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(seconds=0.0)
    for module in (whole, whole_run, progress):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


def test_the_time_to_the_end_across_stages_by_hand(now: SimpleNamespace) -> None:
    """A pretraining of 100 s; then four folds of 30 s, two at a time; then a blend of which 8 s are estimated."""
    folds = {f"fold{fold}": "tagger" for fold in range(4)}
    run = WholeRun(
        Whole("pretrain", {"start": "start"}),
        Whole("train", folds, at_once=2),
        Whole("blend", {"blend": "blend"}, expected={"blend": 8.0}),
    )
    run.pretraining.give("start", bar(0.5, 50.0, 0.0))
    now.seconds = 50.0
    assert run.row() == Row("whole run", None, "0 of 6 jobs done")  # nothing is known of folds
    now.seconds = 100.0
    run.pretraining.end("start")
    assert run.row() == Row("whole run", None, "1 of 6 jobs done")
    run.training.give("fold0", bar(1 / 3, 20.0, 100.0))
    now.seconds = 110.0
    assert run.row() == Row("whole run", 110 / (110 + 55 + 8), "1 of 6 jobs done", (20 + 3 * 30) / 2 + 8)
    for name in tuple(folds):
        run.training.give(name, bar(1.0, 0.0, now.seconds - 30))
        run.training.end(name)
    assert run.row() == Row("whole run", 110 / 118, "5 of 6 jobs done", 8.0)
    with run.blends():
        now.seconds = 115.0
        assert run.row() == Row("whole run", 115 / 118, "5 of 6 jobs done", 3.0)
        now.seconds = 120.0
        assert run.row().time_left == "0:00 left"
    assert run.row() == Row("whole run", 1.0, "6 of 6 jobs done", 0.0)


def test_what_a_run_has_to_do_is_what_is_not_done(contest: Path, tmp_path: Path) -> None:
    settings = load([*TINY, f"data.dir={contest}", f"data.work={tmp_path}", "members=[tagger, ngram_crf]"])
    prepare.make(settings)
    stages = Stages(settings)
    assert whole_run.whole_run(stages).row() == Row("whole run", None, "0 of 6 jobs done")  # 1 + 2 x 2 + 1
    done = Path(stages.fold_jobs("ngram_crf", 1)[0].folder)
    done.mkdir(parents=True)
    write_json(done / RESULT, {})
    assert whole_run.whole_run(stages).row() == Row("whole run", None, "0 of 5 jobs done")
