"""The settings as text are a configuration that gives them back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from daguan.cli.app import main
from daguan.core.read_settings import settings_of
from daguan.core.settings import Section, changes, is_section, nested
from daguan.core.settings_text import settings_text
from daguan.pipeline.settings import Settings, load

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_what_is_written_loads_as_what_it_was(tmp_path: Path, config: Path) -> None:
    settings = load([str(config), "seed=7", "train.warmup=1e-3", "name=名"])
    again = tmp_path / "again.yaml"
    again.write_text(settings_text(settings), "utf-8")
    assert load([str(again)]) == settings


def test_every_setting_and_every_section_is_explained() -> None:
    for path, field, _ in settings_of(Settings):
        assert field.description, path
        assert field.description[0].isupper() or field.description[0] == "`" or " " in field.description, path
        assert field.description.endswith("."), path
    text = settings_text(Settings())
    assert all(" ".join(section.__doc__.split()) for section in sections(Settings))
    passes = "Passes over the fold's training lines, pseudo-labelled ones included (up to pseudo_labels.length)."
    assert f"# {passes}\n  epochs: 8\n" in text


def sections(kind: type[Section]) -> list[type[Section]]:
    inner = [field.annotation for field in kind.model_fields.values() if is_section(field.annotation)]
    return [kind, *(one for section in inner for one in sections(section))]


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, field, _ in settings_of(Settings)])
def test_every_default_is_a_value_that_is_taken(path: str, field: FieldInfo) -> None:
    assert changes(Settings, nested(path, field.default), "here") == nested(path, field.default)


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["settings", "model.head=crf+biaffine"]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out, "utf-8")
    assert load([str(tmp_path / "mine.yaml")]) == load(["model.head=crf+biaffine"])


def test_settings_load_without_what_computes() -> None:
    """All names of the tables are known before torch is imported."""
    modules = ("torch", "transformers", "sklearn", "gensim", "optuna", "pandas")
    code = f"import sys, daguan.pipeline.settings as s; s.load([]); print([m for m in {modules} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
