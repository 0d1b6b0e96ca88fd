"""The table of stages and the names of members."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import daguan
from daguan.core.errors import ConfigError
from daguan.pipeline.settings import load
from daguan.pipeline.stages import RESERVED, Stages, decided
from daguan.training import devices
from daguan.training.engine_settings import EngineSettings

FOLDER = re.compile(r'run_of\([^"]*?, f?"([a-z]+)')


def test_every_run_s_folder_is_reserved() -> None:
    texts = [path.read_text("utf-8") for path in Path(daguan.__file__).parent.rglob("*.py")]
    assert {name for text in texts for name in FOLDER.findall(text)} < set(RESERVED)


@pytest.mark.parametrize("name", RESERVED)
def test_no_member_has_the_name_of_another_run_s_folder(name: str) -> None:
    with pytest.raises(ConfigError, match=f"ensemble: expected names other than prepare, .*, got '{name}'"):
        Stages(load([f"ensemble={{{name}: {{seed: 2}}}}"]))


@pytest.mark.parametrize(("dtype", "word"), [(torch.bfloat16, "bf16"), (torch.float32, "float32")])
def test_jobs_are_given_the_precision_that_auto_means_here(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, word: str
) -> None:
    monkeypatch.setattr(devices, "_faster_dtype", lambda device_type: dtype)
    assert decided(EngineSettings(device="cpu", threads=2)) == EngineSettings(device="cpu", threads=2, precision=word)
