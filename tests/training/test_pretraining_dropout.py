"""Dropout in pretraining: masks by the update alone, none in evaluation, also of attention weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from counting_text import counting_blocks
from daguan.core.settings import build
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.dropouts import ByteDropout
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

SIZE = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32)
V = len(SPECIALS) + 40
UPDATES, ROWS = 4, 4


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    return counting_blocks(tmp_path_factory.mktemp("text"), 40, SIZE.max_length)


def pretrainer(blocks: Blocks, dropout: float, encoder: str = "modern", objective: str = "") -> Pretrainer:
    tokens = UPDATES * ROWS * SIZE.max_length
    values = {"tokens": tokens, "batch_size": ROWS, "dropout": dropout, "optimiser": "adamw", "objective": objective}
    engine = EngineSettings(device="cpu", precision="float32")
    return Pretrainer(encoder, SIZE, build(PretrainSettings, values), engine, blocks, V, seed=1)


def weights_after(trainer: Pretrainer) -> dict[str, Tensor]:
    for _ in trainer.steps():
        torch.rand(3)  # what others draw changes nothing
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_the_masks_depend_on_the_update_alone_and_matter(blocks: Blocks) -> None:
    prepare_process(2)
    once, again, without = (weights_after(pretrainer(blocks, dropout)) for dropout in (0.3, 0.3, 0.0))
    assert equal(once, again)
    assert not equal(once, without)


def test_a_run_that_was_stopped_ends_as_a_whole_one(blocks: Blocks, tmp_path: Path) -> None:
    whole = weights_after(pretrainer(blocks, 0.3))
    stopped = pretrainer(blocks, 0.3)
    for update in stopped.fit(tmp_path):
        if update.done == 2:
            stopped.save_checkpoint(tmp_path)
            break
    continued = pretrainer(blocks, 0.3)
    for _ in continued.fit(tmp_path):
        pass
    assert equal(whole, dict(continued.model.named_parameters()))


def test_an_evaluation_has_no_dropout_and_training_goes_on_with_it(blocks: Blocks) -> None:
    dropped, plain = pretrainer(blocks, 0.5), pretrainer(blocks, 0.0)
    assert dropped.evaluate() == dropped.evaluate() == plain.evaluate()
    assert dropped.model.training


@pytest.mark.parametrize(("encoder", "objective"), [("bert", ""), ("albert", ""), ("electra", "rtd"), ("modern", "")])
def test_every_rate_is_set_that_of_attention_weights_and_of_a_generator_too(
    blocks: Blocks, encoder: str, objective: str
) -> None:
    for rate in (0.0, 0.2):
        model = pretrainer(blocks, rate, encoder, objective).model
        rates = {m.p for part in model.encoders for m in part.modules() if isinstance(m, nn.Dropout | ByteDropout)}
        assert rates == {rate}
