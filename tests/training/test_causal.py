"""The language models that read on: what is remembered between updates, by each row, in a checkpoint, on threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from counting_text import counting_blocks
from daguan.core.errors import ConfigError
from daguan.core.settings import build
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from daguan.pipeline.settings import Settings
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.objectives.causal import CausalObjective
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer
from resuming import assert_resumes

SIZE = EncoderSettings(layers=2, hidden=32, heads=2, feed_forward=64, max_length=16, memory=20)
EXACT = EngineSettings(device="cpu", precision="float32")
V = len(SPECIALS) + 40
ROWS = 4


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    """60 or so."""
    return counting_blocks(tmp_path_factory.mktemp("text"), 120, SIZE.max_length)


def trainer(blocks: Blocks, updates: int = 6, size: EncoderSettings = SIZE, **more: Any) -> Pretrainer:
    values = {"objective": "causal", "batch_size": ROWS, "tokens": updates * ROWS * 16, "checkpoint_seconds": 0}
    settings = build(PretrainSettings, values | more)
    return Pretrainer("transformer_xl", size, settings, EXACT, blocks, V, seed=1)


def objective_of(trained: Pretrainer) -> CausalObjective:
    assert isinstance(trained.objective, CausalObjective)
    return trained.objective


def bits(trained: Pretrainer) -> dict[str, torch.Tensor]:
    state = dict(trained.model.named_parameters()) | trained.objective.state()
    return {name: value.detach().clone() for name, value in state.items()}


@pytest.mark.parametrize("memory", [0, 20])
@pytest.mark.parametrize("cut", [1, 3])
def test_a_run_cut_short_goes_on_with_what_it_remembered(blocks: Blocks, tmp_path: Path, cut: int, memory: int) -> None:
    size = SIZE.replace(memory=memory)
    whole, _ = assert_resumes(lambda: trainer(blocks, size=size), tmp_path, cut)
    assert (objective_of(whole).memories[0].kept > 0).any() == (memory > 0)


def test_an_update_reads_what_the_one_before_has_read(blocks: Blocks) -> None:
    """Another memory is another loss where a stream reads on, and the same where it begins."""
    trained = trainer(blocks)
    objective = objective_of(trained)
    objective.loss(trained.model, objective.batch(0))
    batch = objective.batch(1)
    follows = ~batch.fresh.all(1)
    assert follows.any()
    trained.model.requires_grad_(False)
    with torch.no_grad():
        for weight in trained.model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    kept = {name: value.clone() for name, value in objective.state().items()}
    rows = [batch.split(ROWS)[row] for row in range(ROWS)]
    losses = []
    for change in (0.0, 1.0):
        for name, value in objective.state().items():
            value.copy_(kept[name] + (change * torch.randn_like(kept[name]) if "states" in name else 0))
        losses.append([objective.loss(trained.model, row).item() for row in rows])
    for row in range(ROWS):
        assert (losses[0][row] != losses[1][row]) == bool(follows[row])


def test_measuring_leaves_the_memory_alone(blocks: Blocks) -> None:
    trained = trainer(blocks)
    objective_of(trained).loss(trained.model, trained.objective.batch(0))
    before = bits(trained)
    measured = trained.evaluate()
    assert all(value.equal(before[name]) for name, value in bits(trained).items())
    both = (measured["forward"].loss + measured["backward"].loss) / 2
    assert measured["causal"].loss == pytest.approx(both)
    assert both == pytest.approx(np.log(V), rel=0.1)


def test_gradients_of_replicas_add_up_to_one_s_from_update_to_update(blocks: Blocks, tmp_path: Path) -> None:
    found = []
    for threads, accumulation in ((1, 1), (2, 1), (2, 2)):
        prepare_process(threads)
        more = {"batch_size": ROWS // accumulation, "accumulation": accumulation, "optimiser": "adamw"}
        trained = trainer(blocks, updates=4, **more)
        assert len(trained.replicas.models) == threads
        list(trained.fit(tmp_path / f"{threads}-{accumulation}"))
        found.append(bits(trained))
    for other in found[1:]:
        assert all(torch.allclose(found[0][name], other[name], atol=1e-4) for name in other)


def test_a_checkpoint_is_read_with_the_memory_that_is_asked_for(blocks: Blocks, tmp_path: Path) -> None:
    MaskedLm("transformer_xl", SIZE, V).save(tmp_path)
    asked = SIZE.replace(memory=7, same_length=True, clamp=5, checkpoint=str(tmp_path))
    objective = objective_of(trainer(blocks, size=asked))
    assert objective.memories[0].length == 7
    config = objective.model.encoders[0].onward.config
    assert (config.memory, config.same_length, config.clamp) == (7, True, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"encoder": "modern"}}, "pretrain.objective: expected mlm or .* with model.encoder=modern"),
        ({"pretrain": {"objective": "mlm"}}, "pretrain.objective: expected causal with model.encoder=transformer_xl"),
        ({"model": {"encoder": "modern"}, "encoder": {"memory": 9}, "pretrain": {}}, "encoder.memory: expected 64"),
        ({"encoder": {"memory": -1}}, "encoder.memory: expected at least 0"),
        ({"encoder": {"memory": 0, "same_length": True}}, "encoder.same_length: expected False unless encoder.mem"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], message: str) -> None:
    given = {"model": {"encoder": "transformer_xl"}, "pretrain": {"objective": "causal"}}
    with pytest.raises(ConfigError, match=message):
        build(Settings, given | values)
    build(Settings, given)
    build(Settings, {"model": {"encoder": "transformer_xl"}, "pretrain": {"tokens": 0}})


def test_half_precision_learns_the_same_but_for_rounding(blocks: Blocks, tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bf16"):
        settings = PretrainSettings(objective="causal", batch_size=ROWS, tokens=4 * ROWS * 16)
        engine = EngineSettings(device="cpu", precision=precision)
        trained = Pretrainer("transformer_xl", SIZE, settings, engine, blocks, V, seed=1)
        losses.append([update.loss for update in trained.fit(tmp_path / precision)])
        assert all(memory.states.dtype == torch.float32 for memory in objective_of(trained).memories)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
