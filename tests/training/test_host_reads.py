"""Between two readings of the losses no update waits for a GPU, by the double of tests/waiting.py."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from daguan.models.encoders.loading import Encoder, MaskedLm
from daguan.nn import crf
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from updates import QUIET, UPDATES, WAITING, Make
from waiting import Waits

EXACT = EngineSettings(device="cpu", precision="float32")
ON_CPU = "optimizer.py"  # RAdam reads its count of steps, which is in the CPU's memory; on a GPU it need not


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_process(1)
    monkeypatch.setattr(crf, "_expect", crf._expect_limited)


def waits(make: Make, folder: Path) -> list[str]:
    """Returns what the second and third update wait for, where losses are read later."""
    trainer = make(EXACT, folder)
    trainer.read_after, trainer.batches.ahead = 10**9, 2  # type: ignore[attr-defined]
    choose_fused_attention(trainer.model)
    updates = trainer.steps()
    next(updates)
    with Waits() as noted:
        next(updates)
        next(updates)
    updates.close()
    return [one for one in noted.found if ON_CPU not in one]


def choose_fused_attention(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, Encoder | MaskedLm):
            module.architecture.choose_attention(module.model, torch.device("cuda"))


@pytest.mark.parametrize("name", QUIET)
def test_an_update_waits_for_nothing(name: str, tmp_path: Path) -> None:
    assert Counter(waits(QUIET[name], tmp_path)) == {}


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_is_known(name: str, tmp_path: Path) -> None:
    assert waits(UPDATES[name], tmp_path)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(), lambda x: float(x.sum()), lambda x: bool(x.any()), lambda x: x.tolist(),
        lambda x: x.cpu(), lambda x: x.numpy(), lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: torch.tensor([1]),
    ],
)  # fmt: skip
def test_the_double_notes_what_waits(read) -> None:  # type: ignore[no-untyped-def]
    x = torch.ones(3)
    with Waits() as noted:
        _ = (x + x)[:2].where(x[:2] > 0, 0)
        assert not noted.found
        read(x)
    assert len(noted.found) == 1
