"""The settings as text are a configuration that gives them back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from daguan.__main__ import main
from daguan.core.settings_text import settings_text
from daguan.pipeline.settings import Settings, load

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_what_is_written_loads_as_what_it_was(tmp_path: Path, config: Path) -> None:
    settings = load([str(config), "seed=7", "train.warmup=1e-3", "name=名"])
    again = tmp_path / "again.yaml"
    again.write_text(settings_text(settings), "utf-8")
    assert load([str(again)]) == settings


def test_every_setting_is_explained() -> None:
    """Each field of each section is named in its section's docstring, a section by its own."""
    for section in sections(Settings()):
        about = type(section).__doc__ or ""
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            assert dataclasses.is_dataclass(value) or field.name in about, f"{type(section).__name__}.{field.name}"


def sections(settings: object) -> list[object]:
    inner = [getattr(settings, field.name) for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
    return [settings, *(one for value in inner if dataclasses.is_dataclass(value) for one in sections(value))]


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["settings", "model.head=crf+biaffine"]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out, "utf-8")
    assert load([str(tmp_path / "mine.yaml")]) == load(["model.head=crf+biaffine"])
