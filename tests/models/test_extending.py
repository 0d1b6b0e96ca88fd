"""The worked example of docs/extending.md does what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from daguan.core.tables import Row
from daguan.data.batches.collate import collate
from daguan.models.encoders import table as encoder_table
from daguan.models.encoders.loading import load_encoder
from daguan.models.heads.table import HEADS
from daguan.models.tagger import Tagger
from tiny_taggers import examples, tagger

TEXT = (Path(__file__).parents[2] / "docs" / "extending.md").read_text("utf-8")
MODULE, LINE, ENCODER_MODULE, ENCODER_LINE = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("head", ["focal", "lstm_focal", "crf+focal"])
def test_the_head_of_the_example_fits_a_batch(monkeypatch, head):
    module = ModuleType("daguan.models.focal")
    exec(compile(MODULE, "docs/extending.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = eval(f"{{{LINE}}}", {"Row": Row})
    monkeypatch.setitem(HEADS, "focal", entry["focal"])
    assert fits(tagger(head))
    assert len(MODULE.splitlines()) + len(LINE.splitlines()) <= 30


def test_the_encoder_of_the_example_fits_a_batch_and_comes_back(monkeypatch, tmp_path):
    module = ModuleType("daguan.models.dilated")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(ENCODER_MODULE, "docs/extending.md", "exec"), module.__dict__)
    rows = eval(f"{{{ENCODER_LINE}}}", vars(encoder_table))
    monkeypatch.setitem(encoder_table.ENCODERS, "dilated", rows["dilated"])
    model = tagger("crf", encoder="dilated")
    assert fits(model)
    model.encoder.save(tmp_path)
    ids, mask = torch.tensor([[7, 8, 9]]), torch.ones(1, 3, dtype=torch.bool)
    assert load_encoder(tmp_path, 0.0).eval()(ids, mask).equal(model.encoder(ids, mask))
    written = [line for line in ENCODER_MODULE.splitlines() if line]
    assert len(written) + len(ENCODER_LINE.splitlines()) <= 30


def fits(model: Tagger) -> bool:
    """Whether a hundred and fifty updates teach it a batch."""
    batch = collate(examples(), 16)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        model.loss(batch).backward()
        optimiser.step()
    return model.eval().marginals(batch).argmax(2)[batch.mask].equal(batch.tag_ids[batch.mask])
