"""The command of one job, as a batch system calls it: ended by SIGTERM, it continues from its checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TINY
from daguan.core.errors import StoppedError
from daguan.core.files import read_json
from daguan.core.processes import ENVIRONMENT
from daguan.core.runs import CHECKPOINT
from daguan.families.job import JOB, RESULT
from daguan.pipeline import job_files
from daguan.pipeline.engines.worker import JOBS


def command(job: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "daguan.pipeline.engines.worker", str(job)]
    bare = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=bare)


def test_a_job_that_is_ended_by_sigterm_continues_and_has_the_same_bytes(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, f"data.dir={contest}", "members=tagger", "pretrain.tokens=0", "train.epochs=12", "engine.threads=1"]
    words += ["train.checkpoint_seconds=1e9", "model.ngram_buckets=4096"]
    paths = []
    for name in ("stopped", "whole"):
        assert job_files.main([*words, f"data.work={tmp_path / name}"]) == 0
        paths.append(Path(capsys.readouterr().out.splitlines()[0]))
    stopped, whole = paths
    with command(stopped) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == StoppedError.exit_code
    assert (stopped.parent / CHECKPOINT).is_file()
    with command(stopped) as process:
        process.communicate()
    assert process.returncode == 0
    kind = JOBS["fold"]
    kind.run(kind.job.from_json(read_json(whole), str(whole)), lambda progress: None)
    names = {path.name for path in whole.parent.glob("*.safetensors")}
    assert names
    for name in names:
        assert (stopped.parent / name).read_bytes() == (whole.parent / name).read_bytes()


def test_job_files_come_in_rounds(contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path}", "pretrain.tokens=1024", "engine.threads=3"]
    assert job_files.main(words) == 0
    (start,) = map(Path, capsys.readouterr().out.split())
    assert start.parent.name.startswith("pretrain-")
    (start.parent / RESULT).write_text('{"seconds": 1.0}', "utf-8")
    assert job_files.main(words) == 0
    folds = [Path(line).parent for line in capsys.readouterr().out.split()]
    assert [folder.name for folder in folds] == 2 * ["fold0", "fold1"]
    assert {folder.parent.name.partition("-")[0] for folder in folds} == {"tagger", "ngram_crf"}
    decided = [read_json(folder / JOB) for folder in (start.parent, *folds)]  # bytes depend on both
    assert {(job["threads"], job["engine"]["precision"] in ("bf16", "float32")) for job in decided} == {(3, True)}
    assert job_files.main([*words, "data.no=1"]) == 2
