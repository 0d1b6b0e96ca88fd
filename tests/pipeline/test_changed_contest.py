"""A contest's file that is changed while a command runs: whoever reads it next says so, and nothing is mixed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from conftest import TINY, write_contest
from daguan.core.errors import DataError
from daguan.data import contest as contests
from daguan.families.fold import FoldData
from daguan.pipeline import prepare
from daguan.pipeline.engines import worker
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.pipeline.work import prepare as work

CHANGED = "expected the file that the command began with, got another"


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    words = [*TINY, f"data.dir={write_contest(tmp_path / 'contest')}", f"data.work={tmp_path / 'work'}"]
    settings = load([*words, f"data.submissions={tmp_path / 'sub'}", "members=ngram_crf"])
    prepare.make(settings)
    return Stages(settings)


def swap_two_lines(path: Path) -> None:
    first, second, third, *rest = path.read_text("utf-8").split("\n")  # the first two of train.txt are alike
    path.write_text("\n".join([third, second, first, *rest]), "utf-8")


def keep_size_and_time(path: Path) -> None:
    before = path.stat()
    swap_two_lines(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = [swap_two_lines, Path.unlink, lambda path: path.write_text("")]


@pytest.mark.parametrize("name", ["train.txt", "test.txt"])
@pytest.mark.parametrize("change", [*CHANGES, keep_size_and_time])
def test_a_worker_checks_what_it_was_given(
    stages: Stages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    change: Callable[[Path], object],
) -> None:
    job = stages.fold_jobs("ngram_crf", 1)[0]
    FoldData.read(job)
    monkeypatch.setattr(contests, "_sha256_of_state", contests._sha256_of_state.__wrapped__)  # of another process
    (tmp_path / "job.json").write_text(json.dumps(job.to_json()), "utf-8")
    change(stages.contest.folder / name)
    assert worker.main(str(tmp_path / "job.json"), StringIO()) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert name in message


@pytest.mark.parametrize("name", ["train.txt", "test.txt"])
def test_the_command_itself_checks_what_it_reads_later(stages: Stages, name: str) -> None:
    prepared = stages.prepared
    swap_two_lines(stages.contest.folder / name)
    with pytest.raises(DataError, match=rf"{name}: {CHANGED}"):
        _ = prepared.train, prepared.test


@pytest.mark.parametrize("name", ["train.txt", "test.txt", "corpus.txt"])
def test_prepare_does_not_finish_with_a_file_that_changed_under_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    contest = write_contest(tmp_path / "contest")
    settings = load([*TINY, f"data.dir={contest}", f"data.work={tmp_path / 'work'}"])
    write_folds = work.write_folds

    def changing(*given: object) -> None:
        write_folds(*given)  # type: ignore[arg-type]
        swap_two_lines(contest / name)

    monkeypatch.setattr(work, "write_folds", changing)
    with pytest.raises(DataError, match=rf"{name}: {CHANGED}"):
        prepare.make(settings)
    assert not Stages(settings).prepare.finished
