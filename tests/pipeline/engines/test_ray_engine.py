"""The Ray engine: what is refused before any work. tests/pipeline/engines/test_ray_cluster.py has a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conftest import TINY
from daguan.cli.app import main
from daguan.core.errors import ConfigError
from daguan.pipeline.engines import ray_engine
from daguan.pipeline.engines.local import LocalEngine
from daguan.pipeline.engines.running import Work
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training import devices
from daguan.training.engine_settings import EngineSettings


def test_without_ray_nothing_is_begun(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_engine, "find_spec", lambda name: None)
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path / 'work'}", "engine.kind=ray"]
    for command in ("run", "pretrain", "train"):
        assert main([command, *words]) == 2
        assert capsys.readouterr().err.splitlines() == [
            "daguan: engine.kind: expected the package ray, got none; run: pip install 'daguan[ray]'"
        ]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"expected a Ray cluster at 127\.0\.0\.1:1, got: .*refused; run `ray start --head` here"),
        ("nowhere", "expected auto or HOST:PORT, got 'nowhere'"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^engine\.address: {message}"):
        ray_engine.require_answer(address)


@pytest.mark.parametrize("on_gpu", [False, True])
def test_a_job_declares_what_all_its_processes_need(monkeypatch: pytest.MonkeyPatch, on_gpu: bool) -> None:
    monkeypatch.setattr(ray_engine, "_on_gpu", lambda settings: on_gpu)
    needs = ray_engine.needs_of(Work("job", "folder", 3, "{}", processes=4), EngineSettings(kind="ray", memory=1.5))
    assert needs == {"CPU": 12, "GPU": 4 * on_gpu, "memory": 1.5 * 2**30}


@pytest.mark.parametrize("device", ["auto", "cuda", "cpu"])
def test_a_fold_of_a_family_declares_a_gpu_only_if_it_uses_one(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(devices, "_faster_dtype", lambda device_type: torch.float32)
    soup = "soup: {family: soup, soup: {members: [tagger, other]}}"
    ensemble = f"ensemble={{crf: {{family: ngram_crf}}, other: {{train: {{seed: 2}}}}, {soup}}}"
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path}", f"engine.device={device}", "pretrain.tokens=0"]
    stages = Stages(load([*words, "members=[tagger, crf, other, soup]", ensemble]))
    for member, uses_gpu in {"tagger": True, "crf": False, "soup": True}.items():
        for job in stages.fold_jobs(member, threads=1):
            needs = ray_engine.needs_of(Work.of(job), job.engine)
            assert needs["GPU"] == (uses_gpu and device != "cpu")
            with LocalEngine()._gpus_of(job) as visible:
                assert visible == ({"CUDA_VISIBLE_DEVICES": "0"} if needs["GPU"] else {})


def test_settings_of_ray_are_refused_with_another_engine() -> None:
    with pytest.raises(ConfigError, match=r"engine\.memory: expected 2\.0 unless engine\.kind is ray, got 3\.0"):
        load(["engine.memory=3"])
    assert load(["engine.kind=ray", "engine.memory=3"]).engine.memory == 3
