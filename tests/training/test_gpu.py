"""A GPU computes what the CPU computes, up to rounding, and no update waits for it between readings of the losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from daguan.core.processes import ENVIRONMENT
from daguan.data.batches.collate import collate
from daguan.models.heads.table import HEADS
from daguan.models.tagger import Tagger
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from tiny_taggers import examples, tagger
from updates import QUIET

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]
GPU = torch.device("cuda")
NEAR = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(autouse=True)
def deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    prepare_process(1)


def pair(head: str) -> tuple[Tagger, Tagger]:
    """Returns the same tagger twice, without dropout: on the CPU and on the GPU."""
    return tagger(head), tagger(head).to_device(GPU)


@pytest.mark.parametrize("head", HEADS)
def test_loss_and_gradients_are_those_of_the_cpu(head: str) -> None:
    batch = collate(examples(), 16)
    here, there = pair(head)
    losses = here.train().loss(batch), there.train().loss(batch.to(GPU))
    torch.testing.assert_close(losses[1].cpu(), losses[0], **NEAR)
    for loss in losses:
        torch.autograd.backward(loss)
    for name, weight in here.named_parameters():
        grad = there.get_parameter(name).grad
        assert (grad is None) == (weight.grad is None), name
        if grad is not None:
            torch.testing.assert_close(grad.cpu(), weight.grad, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_marginals_are_those_of_the_cpu(head: str) -> None:
    batch = replace(collate(examples(), 16), tag_ids=None)
    here, there = pair(head)
    torch.testing.assert_close(there.eval().marginals(batch.to(GPU)).cpu(), here.eval().marginals(batch), **NEAR)


@pytest.mark.parametrize("name", QUIET)
def test_an_update_waits_for_nothing(name: str, tmp_path: Path) -> None:
    """The first update prepares what later ones use."""
    trainer = QUIET[name](EngineSettings(device="cuda"), tmp_path)
    trainer.read_after = 10**9
    updates = trainer.steps()
    next(updates)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(updates)
        next(updates)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        updates.close()
