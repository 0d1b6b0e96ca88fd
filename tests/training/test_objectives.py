"""Every objective learns, adds over parts of an update, reaches all it trains, and leaves an encoder that loads."""

from __future__ import annotations

from dataclasses import asdict
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from counting_text import counting_blocks
from daguan.core.errors import ConfigError, DivergenceError
from daguan.core.settings import build
from daguan.data.batches.masking import Masked, places_per_row
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import MASK, SPECIALS
from daguan.models.encoders.loading import load_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import PRETRAINED, learns
from daguan.models.pretraining_heads import ReplacedTokens
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.objectives.base import EVALUATION_MASKING
from daguan.training.objectives.generated import Guesses, ReplacedObjective
from daguan.training.objectives.sentence_pairs import PairObjective
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

SIZE = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32)
EXACT = EngineSettings(device="cpu", precision="float32")
V = len(SPECIALS) + 40
EACH = pytest.mark.parametrize("objective", OBJECTIVES)
LEARNT = [(objective, name) for objective, name in product(OBJECTIVES, PRETRAINED) if learns(name, objective)]
BOTH = pytest.mark.parametrize(("objective", "architecture"), LEARNT)
FIRST = dict(reversed(LEARNT))  # an encoder for each
CYCLED = [*zip(OBJECTIVES, cycle(("modern", "bert")), strict=False)]
CYCLED = [(objective, name if learns(name, objective) else FIRST[objective]) for objective, name in CYCLED]
MEASURED = {  # all others measure the loss of a masked language model alone
    "mlm+sop": {"mlm", "sop"},
    "mlm+nsp": {"mlm", "nsp"},
    "rtd": {"generator", "rtd", "chosen"},
    "all_tokens": {"generator", "all_tokens", "chosen"},
    "mass": {"mass"},
    "causal": {"causal", "forward", "backward"},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    return counting_blocks(tmp_path_factory.mktemp("text"), 50, SIZE.max_length)


def trainer(blocks: Blocks, objective: str, architecture: str = "", updates: int = 3, **more: Any) -> Pretrainer:
    values = {"objective": objective, "batch_size": 8, "tokens": updates * 8 * 32, "checkpoint_seconds": 1e9}
    settings = build(PretrainSettings, values | more)
    return Pretrainer(architecture or FIRST[objective], SIZE, settings, EXACT, blocks, V, seed=1)


def fit(trained: Pretrainer) -> Pretrainer:
    for _ in trained.steps():
        pass
    return trained


@pytest.mark.parametrize(("objective", "architecture"), CYCLED)
def test_an_objective_learns_a_tiny_text_by_heart(blocks: Blocks, objective: str, architecture: str) -> None:
    trained = trainer(blocks, objective, architecture, 200 if "+" in objective else 80, learning_rate=1e-2)
    trained.objective.held_out = blocks.split(1)[0]  # what it trains on
    if isinstance(trained.objective, PairObjective):
        trained.objective.held_out_pairs = trained.objective.train
    before = trained.evaluate()
    after = fit(trained).evaluate()
    assert before.keys() == after.keys() == MEASURED.get(objective, {"mlm"})
    for name in before:
        if name != "chosen":
            assert after[name].loss < 0.75 * before[name].loss, name
            assert after[name].accuracy > before[name].accuracy, name


@EACH
def test_an_update_s_loss_is_the_sum_over_its_parts(blocks: Blocks, objective: str) -> None:
    trained = trainer(blocks, objective)
    batch = trained.objective.batch(0)
    with torch.no_grad():
        whole = trained.objective.loss(trained.model, batch).item()
        parts = [trained.objective.loss(trained.model, part).item() for part in batch.split(3)]
    assert len(parts) == 3
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


@EACH
def test_accumulated_batches_are_one_large_batch(blocks: Blocks, objective: str) -> None:
    """But for rounding."""
    large, small = (
        fit(trainer(blocks, objective, optimiser="adamw", batch_size=size, accumulation=8 // size)) for size in (8, 2)
    )
    assert large.updates == small.updates
    assert large.loss == pytest.approx(small.loss, rel=1e-5)
    for (name, one), other in zip(large.model.named_parameters(), small.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4), name


@pytest.mark.parametrize("clip", [0.0, 1e-3])
def test_a_gradient_is_as_long_as_clip_says_and_with_0_as_it_was(blocks: Blocks, clip: float) -> None:
    """0: the released recipe of RoBERTa does not clip."""
    trained = trainer(blocks, "mlm", "roberta", updates=1, optimiser="adamw", clip=clip)
    weights, (optimiser,), stepped_with = list(trained.model.parameters()), trained.optimisers, []
    optimiser.register_step_pre_hook(lambda *_: stepped_with.extend(weight.grad.clone() for weight in weights))
    expected = torch.autograd.grad(trained.objective.loss(trained.model, trained.objective.batch(0)), weights)
    length = torch.nn.utils.get_total_norm(expected)
    assert length > 0.1
    fit(trained)
    share = clip / length if clip else 1.0
    for one, other in zip(stepped_with, expected, strict=True):
        assert torch.allclose(one, share * other, rtol=1e-3, atol=1e-6 * share)


@BOTH
def test_a_gradient_reaches_every_parameter_that_is_trained(blocks: Blocks, objective: str, architecture: str) -> None:
    trained = fit(trainer(blocks, objective, architecture))  # what starts at zero has left it
    trained.objective.loss(trained.model, trained.objective.batch(0)).backward()
    unreached = [name for name, p in trained.model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unreached


@BOTH
def test_only_the_encoder_is_saved_and_it_is_the_one_trained(
    blocks: Blocks, tmp_path: Path, objective: str, architecture: str
) -> None:
    trained = trainer(blocks, objective, architecture)
    trained.model.save(tmp_path)
    loaded = load_encoder(tmp_path, 0.0).model.eval()
    model = trained.model
    mine = model.encoder if isinstance(model, ReplacedTokens) else getattr(model, "lm", model).model
    ids = torch.from_numpy(trained.objective.batch(0).inputs).flatten(0, -2)
    expected = getattr(mine, "base_model", mine)(ids).last_hidden_state
    assert torch.allclose(loaded(ids).last_hidden_state, expected, atol=1e-5)
    saved = load_file(tmp_path / "model.safetensors")
    heads = ("generator.", "classifier", "pooler", "copy", "dense.")
    assert not [name for name in saved if name.startswith(heads)]


@EACH
def test_the_encoder_starts_alike_whatever_it_is_to_learn(blocks: Blocks, objective: str) -> None:
    tables = [
        trainer(blocks, name, FIRST[objective]).model.encoders[0].get_input_embeddings().weight
        for name in ("mlm", objective)
    ]
    assert torch.equal(*tables)


@EACH
def test_an_update_reads_the_same_again_and_another_reads_something_else(blocks: Blocks, objective: str) -> None:
    one, again, other = (asdict(trainer(blocks, objective).objective.batch(update)) for update in (1, 1, 2))
    assert all(np.array_equal(one[name], again[name]) for name in one)
    changing = set(one) - {"fresh", "rows"}  # of streams
    assert not any(np.array_equal(one[name], other[name]) for name in changing)


def test_a_rate_that_falls_falls_from_update_to_update(blocks: Blocks) -> None:
    trained = trainer(blocks, "mlm", updates=80, masking={"rate": 0.3, "final_rate": 0.15})
    places = [trained.objective.batch(update).labels.shape[1] for update in range(80)]
    assert places == sorted(places, reverse=True)
    assert (places[0], places[-1]) == (10, 5)


def test_a_sampled_token_that_is_the_original_counts_as_original(blocks: Blocks) -> None:
    objective = trainer(blocks, "rtd").objective
    assert isinstance(objective, ReplacedObjective)
    text, read = torch.tensor([[7, 8, 9, 10]]), torch.tensor([[7, 8, 6, 10]])  # at 1 and 2; 8 was drawn again
    nothing = torch.empty(0)
    answers = torch.tensor([[-9.0, -9.0, 9.0, -9.0]])
    guesses = Guesses(nothing, torch.tensor([[1, 2]]), nothing, text, read, (answers,))
    assert objective.right(guesses).all()
    assert objective.losses(guesses).max() < 1e-3
    wrong = Guesses(nothing, torch.tensor([[1, 2]]), nothing, text, read, (-answers,))
    assert objective.losses(wrong).min() > 8


@pytest.mark.parametrize("objective", ["rtd", "all_tokens"])
def test_a_generator_reads_a_mask_at_every_chosen_place(blocks: Blocks, objective: str) -> None:
    batch = trainer(blocks, objective).objective.batch(0)
    assert (np.take_along_axis(batch.inputs, batch.positions, axis=1) == MASK).all()
    kept = trainer(blocks, "mlm").objective.batch(0)
    assert not (np.take_along_axis(kept.inputs, kept.positions, axis=1) == MASK).all()


def test_the_chosen_places_are_measured_apart(blocks: Blocks) -> None:
    """An encoder that calls everything original is right wherever nothing was replaced."""
    trained = trainer(blocks, "rtd")
    assert isinstance(trained.model, ReplacedTokens)
    with torch.no_grad():
        trained.model.classifier.weight.zero_()
        trained.model.classifier.bias.fill_(-5.0)
    measured = trained.evaluate()
    replaced = 1 - measured["chosen"].accuracy
    assert replaced > 0.8
    places = places_per_row(32, EVALUATION_MASKING.rate)
    assert 1 - measured["rtd"].accuracy == pytest.approx(replaced * places / 32)


@pytest.mark.parametrize("objective", ["rtd", "all_tokens"])
def test_a_vocabulary_without_tokens_is_refused_where_tokens_are_drawn(blocks: Blocks, objective: str) -> None:
    settings = build(PretrainSettings, {"objective": objective})
    with pytest.raises(ConfigError, match=rf"pretrain\.objective: expected mlm .* got {objective}"):
        Pretrainer("bert", SIZE, settings, EXACT, blocks, len(SPECIALS), seed=1)


@pytest.mark.parametrize(
    "values",
    [
        {"objective": "mlm+mlm"},
        {"accumulation": 0},
        {"beta2": 1.0},
        {"clip": -1.0},
        {"generator_layers": 0, "objective": "rtd"},
        {"replaced_weight": -1, "objective": "rtd"},
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(values))}: expected"):
        build(PretrainSettings, values)


def test_a_loss_that_is_no_number_ends_the_run(blocks: Blocks) -> None:
    trained = trainer(blocks, "mlm", "modern")
    updates = trained.steps()
    next(updates)
    with torch.no_grad():
        next(trained.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergenceError, match="update 1: expected a finite loss, got nan"):
        next(updates)


@pytest.mark.parametrize("objective", ["mlm", "rtd", "mass"])
def test_what_is_evaluated_is_the_held_out_text(blocks: Blocks, objective: str) -> None:
    """The places put back, the rows are those that no update reads."""
    trained = trainer(blocks, objective)
    _, held_out = blocks.split(1)
    read = {tuple(row) for part in [trained.objective.batch(0)] for row in restored(part)}
    assert not read & set(map(tuple, blocks.take(held_out).tolist()))
    parts = [part for _, parts in trained.objective.evaluations() for part in parts]
    found = [row for part in parts for row in restored(part)]
    assert found == blocks.take(held_out).tolist() * (len(found) // len(held_out))
    assert found


def restored(part: Masked) -> list[list[int]]:
    ids = part.inputs.copy()
    np.put_along_axis(ids, part.positions, part.labels, axis=1)
    return [list(map(int, row)) for row in ids]
