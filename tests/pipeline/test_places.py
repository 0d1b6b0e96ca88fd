"""Presets are found by name from anywhere; runs, submissions and the built-in contest go below the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from daguan.core.errors import ConfigError
from daguan.pipeline.settings import PRESETS, configuration_file, load, presets
from daguan.pipeline.stages import Stages


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", presets())
def test_each_preset_is_found_by_its_name(name: str) -> None:
    assert load([name]).name == name
    assert load([name]) == load([str(PRESETS / f"{name}.yaml")])


def test_the_default_is_a_preset() -> None:
    assert load([]) == load(["small"]) == load([f"seed={load([]).seed}"])


def test_a_name_is_the_preset_and_a_path_is_the_file(elsewhere: Path) -> None:
    for file in ("small", "small.yaml", "mine"):
        (elsewhere / file).write_text(f"name: {file}", "utf-8")
    assert [load([word]).name for word in ("small", "small.yaml", "./small", "mine")] == [
        "small", "small.yaml", "small", "mine",
    ]  # fmt: skip


def test_neither_preset_nor_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="cpu1h: no such preset and no such file; did you mean 'cpu_1h'"):
        configuration_file("cpu1h")


def test_all_that_is_made_is_below_the_current_folder() -> None:
    stages = Stages(load([]))
    assert not any(
        path.is_absolute() for path in (stages.work, stages.contest.folder, Path(stages.settings.data.submissions))
    )
