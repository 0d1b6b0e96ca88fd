"""Worker processes: watched, ended, resumed; what a killed one is taken for."""

from __future__ import annotations

import errno
import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.core.errors import UNWRITABLE, DaguanError, DivergenceError, StoppedError, WriteError
from daguan.core.progress import Bar, Progress
from daguan.core.runs import CHECKPOINT
from daguan.core.settings import load
from daguan.families.fold import FoldJob
from daguan.families.job import result_of
from daguan.pipeline import prepare
from daguan.pipeline.engines import local, worker
from daguan.pipeline.engines.local import LocalEngine
from daguan.pipeline.engines.running import WorkerError, run_jobs
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages


@pytest.fixture
def job(contest: Path, tmp_path: Path) -> FoldJob:
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path}", "pretrain.tokens=0", "train.epochs=2"]
    words.append("train.checkpoint_seconds=1e9")
    settings = load(Settings, None, words)
    prepare.make(settings)
    return Stages(settings).fold_jobs("tagger", threads=1)[0]


def test_a_watched_job_ends_when_told_and_shows_all_its_evaluations_when_resumed(job: FoldJob) -> None:
    seen: list[Progress] = []

    def until_an_evaluation(progress: Progress) -> bool:
        seen.append(progress)
        return not progress.f1s

    processes = LocalEngine()
    assert not processes.run(job, Bar("cut"), until_an_evaluation)
    assert not job.finished
    assert (Path(job.folder) / CHECKPOINT).is_file()  # by the checkpoint that it saved when terminated
    (first,) = seen[-1].f1s
    seen.clear()
    assert processes.run(job, Bar("whole"), lambda progress: seen.append(progress) is None)
    assert seen[-1].f1s[0] == first
    assert list(seen[-1].f1s) == result_of(job)["f1s"]
    assert len(seen[-1].f1s) == job.settings.train.evaluations - 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -9 $$", "killed, as happens when memory runs out; nothing said (the worker ended with code -9"),
        ("echo no room >&2; exit 3", "tagger fold 0: no room (the worker ended with code 3"),
        ("exit 0", "nothing said (the worker ended with code 0"),
    ],
)
def test_what_a_worker_that_fails_is_told_of(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    monkeypatch.setattr(local.sys, "executable", executable(tmp_path, script))
    with pytest.raises(WorkerError) as error:
        LocalEngine().run(job, Bar("job"), go_on)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_stopped_or_interrupted_is_no_failure(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.sys, "executable", executable(tmp_path, "exit 130"))
    processes = LocalEngine()
    with pytest.raises(StoppedError):
        processes.run_command(["prepare"], tmp_path / "log", threads=1)
    processes.stop()
    with pytest.raises(StoppedError):
        processes.run(job, Bar("job"), go_on)


@pytest.mark.parametrize(("script", "error"), [("exit 3", WorkerError), ("exit 130", StoppedError)])
def test_jobs_that_wait_for_one_that_fails_do_not_wait_for_ever(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: type[Exception]
) -> None:
    monkeypatch.setattr(local.sys, "executable", executable(tmp_path, script))
    jobs = [replace(job, folder=str(tmp_path / str(number))) for number in range(5)]
    with pytest.raises(error):
        run_jobs(jobs, 2)


def go_on(progress: Progress) -> bool:
    return True


def executable(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("printed", ["hello", "[1, 2]", "{}", '{"done": 1}', "null", "\\0377\\0376 no UTF-8"])
def test_whatever_else_is_on_a_workers_standard_output_goes_into_its_log(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    report = Progress(1, 2, "it").to_line()
    script = f"printf '%b\\n' '{printed}'; echo '{report}'; exit 3"
    monkeypatch.setattr(local.sys, "executable", executable(tmp_path, script))
    seen: list[Progress] = []
    with pytest.raises(WorkerError):
        LocalEngine().run(job, Bar("job"), lambda progress: seen.append(progress) is None)
    assert seen == [Progress(1, 2, "it")]
    assert len((Path(job.folder) / "worker.log").read_text("utf-8").splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full")
@pytest.mark.parametrize("name", ["worker.log", "events.jsonl"])
def test_a_full_disk_under_a_file_that_grows_is_one_line_that_names_it(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(local.sys, "executable", executable(tmp_path, "echo hello; exec sleep 1"))
    path = Path(job.folder) / name
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    with pytest.raises(WriteError, match=rf"^{re.escape(str(path))}: expected to write here, got: .*No space left"):
        run_jobs([job], 1)


def test_a_job_that_is_not_to_go_on_is_ended_and_is_no_failure(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Progress(1, 2, "it").to_line()
    monkeypatch.setattr(local.sys, "executable", executable(tmp_path, f"echo '{report}'; exec sleep 600"))
    assert not LocalEngine().run(job, Bar("job"), lambda progress: False)


def test_a_full_disk_and_a_request_to_end_are_no_failures_of_a_job(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[tuple[str, type[DaguanError]]] = [("exit 74", WriteError), ("kill $$", StoppedError)]
    for script, error in cases:
        monkeypatch.setattr(local.sys, "executable", executable(tmp_path, script))
        with pytest.raises(error):
            run_jobs([job], 1)
        with pytest.raises(error):
            LocalEngine().run_command(["pretrain"], tmp_path / "pretrain.log", 1)


class Full(StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "full")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WriteError("full"), UNWRITABLE),
        (OSError(errno.ENOSPC, "full"), UNWRITABLE),
        (OSError(errno.ENOMEM, "no memory"), 2),
        (DivergenceError("no number"), 2),
    ],
)
def test_a_worker_and_a_command_say_whether_the_disk_was_full(
    job: FoldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setitem(worker.JOBS, job.kind, worker.Kind(FoldJob, fail))
    (tmp_path / "job.json").write_text(json.dumps(job.to_json()), "utf-8")
    assert worker.main(str(tmp_path / "job.json"), StringIO()) == code
    monkeypatch.setattr("daguan.pipeline.settings.load", fail)
    assert main(["settings"]) == code
    monkeypatch.setattr("sys.stderr", Full())  # the log's disk, too
    assert worker.main(str(tmp_path / "job.json"), StringIO()) == code
    assert main(["settings"]) == code
