"""pretrain says and writes what its objective measures on held-out text."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import TINY
from daguan.__main__ import main
from daguan.core.files import read_json
from daguan.models.encoders import load_encoder


@pytest.mark.parametrize(
    ("objective", "measured"),
    [("mlm", {"mlm"}), ("mlm+sop", {"mlm", "sop"}), ("rtd", {"generator", "rtd", "chosen"})],
)
def test_figures_of_an_objective_are_said_and_kept(
    contest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], objective: str, measured: set[str]
) -> None:
    config = tmp_path / "empty.yaml"
    config.touch()
    words = [
        str(config),
        *TINY,
        f"data.dir={contest}",
        f"data.work={tmp_path / 'work'}",
        f"pretrain.objective={objective}",
    ]
    assert main(["prepare", *words]) == main(["pretrain", *words]) == 0
    (run,) = (tmp_path / "work").glob("pretrain-*")
    manifest = read_json(run / "manifest.json")
    assert manifest["objective"] == objective
    assert manifest["held_out"].keys() == measured
    said = capfd.readouterr().err
    for name, figures in manifest["held_out"].items():
        assert f"{name} loss {figures['loss']:.3f}, accuracy {100 * figures['accuracy']:.1f} %" in said
    assert load_encoder(run, 0.0).out_features == 32
    assert not list(run.glob("checkpoint*"))
