"""A checkpoint's folder is data: its pickled weights are not read, and code in it does not run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.models.encoders.loading import MaskedLm, read_masked_lm
from daguan.models.encoders.settings import EncoderSettings

CODE = "open('ran', 'w').close()\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    size = EncoderSettings(layers=1, hidden=16, heads=2, feed_forward=16, max_length=32)
    MaskedLm("bert", size, 9).save(tmp_path / "public")
    return tmp_path / "public"


def test_pickled_weights_are_refused(folder: Path) -> None:
    weights = read_masked_lm(folder, "bert").state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="expected a readable checkpoint, got: no weights as safetensors"):
        read_masked_lm(folder, "bert")


def test_code_in_the_folder_does_not_run(folder: Path) -> None:
    classes = {"AutoConfig": "code_of.Config", "AutoModelForMaskedLM": "code_of.Model"}
    (folder / "code_of.py").write_text(CODE)
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"auto_map": classes})
    assert read_masked_lm(folder, "bert").config.vocab_size == 9
    write_json(folder / "config.json", config | {"auto_map": classes, "model_type": "of-its-own"})
    with pytest.raises(CheckpointError, match="expected a readable checkpoint"):
        read_masked_lm(folder, "auto")
    assert not Path("ran").exists()
