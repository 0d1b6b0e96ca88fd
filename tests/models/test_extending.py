"""The worked example of docs/extending.md does what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_taggers import examples, tagger

from daguan.batches.collate import collate
from daguan.models import model_settings

TEXT = (Path(__file__).parents[2] / "docs" / "extending.md").read_text("utf-8")
MODULE, LINE = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("head", ["focal", "lstm_focal", "crf+focal"])
def test_the_head_of_the_example_fits_a_batch(monkeypatch, head):
    module = ModuleType("daguan.models.focal")
    exec(compile(MODULE, "docs/extending.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = eval(f"{{{LINE}}}", {"HeadEntry": model_settings.HeadEntry})
    monkeypatch.setattr(model_settings, "HEADS", model_settings.HEADS | entry)
    monkeypatch.setattr("daguan.models.tagger.HEADS", model_settings.HEADS)
    model, batch = tagger(head).train(), collate(examples(), 16)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        model.loss(batch).backward()
        optimiser.step()
    assert model.eval().marginals(batch).argmax(2)[batch.mask].equal(batch.tag_ids[batch.mask])
    assert len(MODULE.splitlines()) + len(LINE.splitlines()) <= 30
