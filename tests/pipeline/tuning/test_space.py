"""A space is checked against the settings it varies, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from daguan.cli.app import main
from daguan.core.errors import ConfigError
from daguan.pipeline.settings import Settings, load
from daguan.pipeline.tune import space_of
from daguan.pipeline.tuning.runner import varied
from daguan.pipeline.tuning.space import changes_of


def settings_of(folder: Path, space: Any, *words: str) -> Settings:
    path = folder / "tune.yaml"
    path.write_text(yaml.safe_dump({"tune": {"space": space}}, sort_keys=False), "utf-8")
    return load([str(path), *words])


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "tune.space: expected one setting or more"),
        ({"train.epoch": {"choices": [1]}}, "train.epoch: no such setting; did you mean 'epochs'?"),
        ({"trian.epochs": {"choices": [1]}}, "trian.epochs: no such setting; did you mean 'train'?"),
        ({"train.epochs.x": {"choices": [1]}}, "train.epochs.x: no such setting"),
        ({"train.epochs": {"choices": ["many"]}}, "train.epochs: expected int, got 'many'"),
        ({"train.epochs": {"low": 1.5, "high": 3}}, "tune.space.train.epochs: expected whole numbers"),
        ({"train.optimiser": {"low": 1, "high": 3}}, "train.optimiser: expected choices, as it holds no number"),
        ({"train.warmup": {"low": 0.3, "high": 0.1}}, "train.warmup.high: expected more than low, 0.3, got 0.1"),
        ({"train.warmup": {"low": 0, "high": 0.1, "log": True}}, "train.warmup.low: expected over 0 with log, got 0.0"),
        ({"train.warmup": {"low": 0, "high": 0.1, "step": 0.03}}, "step: expected a part of high - low, got 0.03"),
        ({"train.warmup": {"low": 0.1, "high": 1, "step": 0.1, "log": True}}, "log: expected false with a step"),
        ({"train.warmup": {"lowest": 0}}, "tune.space.train.warmup.lowest: no such setting; did you mean 'low'?"),
        ({"train.warmup": {"choices": [0.1], "high": 1}}, "choices: expected choices or low and high, not both"),
        ({"train.warmup": [0, 1]}, "tune.space.train.warmup: expected a section, got [0, 1]"),
        ({"folds.count": {"choices": [3, 5]}}, "tune.space.folds.count: expected a setting other than name, members"),
        ({"encoder": {"choices": [4]}}, "tune.space.encoder: expected choices of settings, as it is a section, got 4"),
        ({"encoder": {"choices": [{"layer": 4}]}}, "encoder.layer: no such setting; did you mean 'layers'?"),
        (
            {"encoder": {"choices": [{"layers": 4}]}, "encoder.hidden": {"choices": [64]}},
            "tune.space.encoder: expected each setting once, got 'encoder.hidden'",
        ),
        (
            {"train.warmup": {"choices": [0.1], "when": {"model.head": "crf"}}},
            "tune.space.train.warmup.when: expected settings with choices, placed before, got 'model.head'",
        ),
        (
            {"model.head": {"choices": ["crf"]}, "train.warmup": {"choices": [0.1], "when": {"model.head": "span"}}},
            "tune.space.train.warmup.when: expected choices of model.head, got 'span'",
        ),
    ],
)  # fmt: skip
def test_a_space_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], space: Any, message: str
) -> None:
    with pytest.raises(ConfigError):
        space_of(settings_of(tmp_path, space))
    assert main(["tune", str(tmp_path / "tune.yaml"), f"data.work={tmp_path / 'work'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tune.member=oracle", "tune.member: expected tagger or ngram_crf or soup, got 'oracle'"),
        ("tune.folds=9", "tune.folds: expected less than folds.count, 5, got 9"),
        ("tune.objective=speed", "tune.objective: expected f1 or f1+seconds, got 'speed'"),
        ("tune.pruner=hard", "tune.pruner: expected none or median, got 'hard'"),
        ("tune.trials=0", "tune.trials: expected at least 1, got 0"),
    ],
)
def test_what_does_not_fit_beside_the_space_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    settings_of(tmp_path, {"train.epochs": {"choices": [1, 2]}})
    assert main(["tune", str(tmp_path / "tune.yaml"), word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_parameters_become_sections_and_sections_settings(tmp_path: Path) -> None:
    parameters = {"train.epochs": 4, "encoder": {"layers": 2, "hidden": 64}, "pretrain.masking.rate": 0.3}
    assert changes_of(parameters) == {
        "train": {"epochs": 4},
        "encoder": {"layers": 2, "hidden": 64},
        "pretrain": {"masking": {"rate": 0.3}},
    }
    found = varied(settings_of(tmp_path, {"train.epochs": {"choices": [1]}}), parameters)
    assert (found.train.epochs, found.encoder.layers, found.pretrain.masking.rate) == (4, 2, 0.3)
    assert found.encoder.heads == Settings().encoder.heads


def test_a_member_of_the_ensemble_is_varied_in_its_place(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, {"train.epochs": {"choices": [1]}}, "ensemble.spans.model.head=biaffine", "tune.member=spans"
    )
    found = varied(settings, {"train.epochs": 9})
    assert found.member("spans").train.epochs == 9
    assert found.member("spans").model.head == "biaffine"
    assert found.member("tagger") == settings.member("tagger")


def test_the_preset_has_a_space_that_fits() -> None:
    settings = load(["configs/tune.yaml"])
    space = space_of(settings)
    assert space.whole == {"train.epochs", "model.ngram_buckets"}
    default = load([])
    assert settings.train.evaluations > 1  # something to prune by
    for section in ("contest", "folds", "encoder", "pretrain", "model"):
        assert getattr(settings, section) == getattr(default, section)
    assert settings.train.replace(evaluations=1) == default.train
