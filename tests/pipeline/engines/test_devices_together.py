"""Two processes of the local engine do a job together: as one does, and with an end as clear as its."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conftest import TINY
from daguan.core.errors import ConfigError, StoppedError
from daguan.core.files import write_json
from daguan.core.progress import Bar, Progress
from daguan.core.runs import CHECKPOINT
from daguan.core.settings import load
from daguan.families.fold import FoldJob
from daguan.families.job import JOB, result_of
from daguan.pipeline import prepare
from daguan.pipeline import settings as pipeline_settings
from daguan.pipeline.engines.local import LocalEngine
from daguan.pipeline.engines.running import WORKER, WorkerError, run_jobs
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages
from daguan.training.devices import share_cores
from in_process import InProcessEngine

ALONE = ["train.epochs=2", "train.accumulation=2", "train.checkpoint_seconds=0"]
TOGETHER = "engine.devices=2"


def job_of(contest: Path, work: Path, *words: str) -> FoldJob:
    settings = load(Settings, None, [*TINY, f"data.dir={contest}", f"data.work={work}", "pretrain.tokens=0", *words])
    prepare.make(settings)
    return Stages(settings).fold_jobs("tagger", threads=1)[0]


def test_a_killed_process_ends_the_others_and_one_alone_continues_to_the_same_result(
    contest: Path, tmp_path: Path
) -> None:
    alone = job_of(contest, tmp_path, *ALONE)
    whole = replace(alone, folder=str(tmp_path / "whole"))
    assert InProcessEngine().run(whole, Bar("alone"), lambda progress: True)

    together = job_of(contest, tmp_path, *ALONE, TOGETHER)
    assert together.processes == 2
    killed: list[int] = []

    def kill_the_second(progress: Progress) -> bool:
        if not killed and progress.done:
            killed.extend(ranks_at(Path(together.folder) / JOB))
            os.kill(killed[1], signal.SIGKILL)
        return True

    with pytest.raises(WorkerError, match="expected an answer of all ranks") as error:
        LocalEngine().run(together, Bar("together"), kill_the_second)
    assert "\n" not in str(error.value)
    assert not together.finished
    assert not ranks_at(Path(together.folder) / JOB)

    assert InProcessEngine().run(replace(together, processes=1), Bar("alone"), lambda progress: True)
    assert result_of(together)["f1"] == pytest.approx(result_of(whole)["f1"], abs=0.02)
    assert result_of(together)["updates"] == result_of(whole)["updates"]


def test_the_command_of_one_job_starts_its_processes_and_sigterm_ends_them_with_a_checkpoint(
    contest: Path, tmp_path: Path
) -> None:
    job = job_of(contest, tmp_path, *ALONE, TOGETHER, "train.checkpoint_seconds=1e9")
    path = Path(job.folder) / JOB
    write_json(path, job.to_json())
    words = [sys.executable, "-m", WORKER, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert Progress.from_line(process.stdout.readline()) is not None
        assert len(ranks_at(path)) == 2
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == StoppedError.exit_code
    assert not ranks_at(path)
    assert (path.parent / CHECKPOINT).is_file()
    assert subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert job.finished


def test_what_cannot_be_divided_has_one_process(contest: Path, tmp_path: Path) -> None:
    settings = load(Settings, None, [*TINY, f"data.dir={contest}", f"data.work={tmp_path}", *ALONE, TOGETHER])
    prepare.make(settings)
    assert {job.processes for job in Stages(settings).fold_jobs("ngram_crf", threads=1)} == {1}


def test_more_devices_than_batches_are_refused_before_any_work() -> None:
    with pytest.raises(
        ConfigError, match=re.escape("engine.devices: expected at most train.accumulation of tagger, 2")
    ):
        pipeline_settings.load([*TINY, "train.accumulation=2", "engine.devices=3"])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("train.optimiser=muon", "train.optimiser of tagger: expected adamw or "),
        ("pretrain.optimiser=muon", "pretrain.optimiser of tagger: expected adamw or "),
        ("pretrain.batch_size=1", "pretrain.batch_size of tagger: expected at least 2 with engine.shard"),
    ],
)
def test_what_cannot_lie_in_shares_is_refused_before_any_work(word: str, message: str) -> None:
    words = ["small", "members=[tagger]", *ALONE, TOGETHER, "engine.shard=true"]
    adamw = ["pretrain.optimiser=adamw", "train.optimiser=adamw"]
    pipeline_settings.load([*words, *adamw])
    with pytest.raises(ConfigError, match=re.escape(message)):
        pipeline_settings.load([*words, *adamw, word])


def ranks_at(job: Path) -> list[int]:
    """Returns the processes that work at a job, by rank."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(job).encode() in (process / "cmdline").read_bytes():
                variables = dict(
                    pair.split(b"=", 1) for pair in (process / "environ").read_bytes().split(b"\0") if pair
                )
                found[int(variables[b"RANK"])] = int(process.name)
        except (OSError, KeyError):  # it has just ended, or is not a rank
            continue
    return [found[number] for number in sorted(found)]


def test_a_command_under_a_launcher_is_told_what_to_start_instead(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(contest, tmp_path, *ALONE)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"WORLD_SIZE: expected a process alone; engine\.devices .* got '?2"):
        run_jobs([job], 1)


@pytest.mark.parametrize(("visible", "named"), [("", ["0", "1", "2"]), ("5,7,9", ["5", "7", "9"])])
def test_jobs_at_a_time_get_gpus_of_their_own(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, named: list[str]
) -> None:
    job = job_of(contest, tmp_path, *ALONE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert share_cores(job.engine.replace(device="auto"), jobs=9)[0] == 3
    assert share_cores(job.engine.replace(device="auto", devices=3), jobs=9)[0] == 1
    engine, (of_gpu, of_cpu) = (
        LocalEngine(),
        (replace(job, engine=job.engine.replace(device=d)) for d in ("cuda", "cpu")),
    )
    with engine._gpus_of(replace(of_gpu, processes=2)) as first, engine._gpus_of(of_gpu) as second:
        assert first == {"CUDA_VISIBLE_DEVICES": ",".join(named[:2])}
        assert second == {"CUDA_VISIBLE_DEVICES": named[2]}
    with engine._gpus_of(of_gpu) as again, engine._gpus_of(of_cpu) as on_a_cpu:
        assert again == {"CUDA_VISIBLE_DEVICES": named[0]}
        assert on_a_cpu == {}
