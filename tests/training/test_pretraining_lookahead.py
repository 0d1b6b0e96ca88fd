"""Lookahead in pretraining: what it leaves alone, which weights are measured and saved, and resuming within a cycle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from counting_text import counting_blocks
from daguan.core.errors import ConfigError
from daguan.core.settings import build
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.lookahead import Lookahead
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

SIZE = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32)
ENGINE = EngineSettings(device="cpu", precision="float32")
UPDATES = 5


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    return counting_blocks(tmp_path_factory.mktemp("text"), 50, SIZE.max_length)


def trainer(blocks: Blocks, **more: Any) -> Pretrainer:
    prepare_process(1)
    values = {"batch_size": 8, "tokens": UPDATES * 8 * 32, "checkpoint_seconds": 0, "optimiser": "adamw"}
    return Pretrainer("modern", SIZE, build(PretrainSettings, values | more), ENGINE, blocks, len(SPECIALS) + 40, 1)


def weights(trained: Pretrainer) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in trained.model.named_parameters()}


def trained(run: Pretrainer) -> dict[str, Tensor]:
    for _ in run.steps():
        pass
    return weights(run)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_cycle_of_one_step_that_moves_all_the_way_changes_no_bit(blocks: Blocks) -> None:
    assert same(trained(trainer(blocks)), trained(trainer(blocks, lookahead_steps=1, lookahead_alpha=1.0)))
    assert not same(trained(trainer(blocks)), trained(trainer(blocks, lookahead_steps=2)))


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_the_slow_weights_are_measured_and_remain(blocks: Blocks, optimiser: str) -> None:
    run = trainer(blocks, lookahead_steps=3, optimiser=optimiser)
    assert all(isinstance(one, Lookahead) for one in run.optimisers)
    steps = run.steps()
    for _ in range(3):
        next(steps)
    synchronised, at_three = weights(run), run.evaluate()
    next(steps)
    assert not same(weights(run), synchronised)
    assert run.evaluate() == at_three
    for _ in steps:
        pass
    assert same(weights(run), synchronised)


def test_a_run_cut_within_a_cycle_ends_with_the_same_bits(blocks: Blocks, tmp_path: Path) -> None:
    whole = trained(trainer(blocks, lookahead_steps=2))
    cut = trainer(blocks, lookahead_steps=2).fit(tmp_path)
    for _ in range(3):
        next(cut)
    resumed = trainer(blocks, lookahead_steps=2)
    resumed.load_checkpoint(tmp_path)
    assert resumed.done == 3
    assert same(trained(resumed), whole)


def test_a_cycle_longer_than_the_run_is_refused(blocks: Blocks) -> None:
    with pytest.raises(
        ConfigError, match=r"pretrain\.lookahead_steps: expected at most 5, the number of updates, got 6"
    ):
        trainer(blocks, lookahead_steps=6)
