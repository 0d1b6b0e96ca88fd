"""Optimisers: who decays, what a checkpoint keeps, how the rate runs."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer, RAdam

from daguan.core.errors import ConfigError
from daguan.data.tags import TagScheme
from daguan.models.encoders.loading import MaskedLm, new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import PRETRAINED
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.nn.lamb import Lamb
from daguan.nn.muon import Muon, hidden_matrices
from daguan.nn.optimisers import (
    Group,
    LinearSchedule,
    Options,
    decayed_names,
    load_state_tensors,
    state_tensors,
)
from daguan.nn.tables import OPTIMISERS, SCHEDULES
from daguan.training.checkpoints import load_state, save_state
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import pretraining_optimisers

BERT = EncoderSettings(layers=1, hidden=16, heads=2, feed_forward=32, max_length=32)
MAKERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "adamw": lambda model: AdamW(model.parameters(), lr=0.1, weight_decay=0.1),
    "radam": lambda model: RAdam(model.parameters(), lr=0.1, weight_decay=0.1, decoupled_weight_decay=True),
    "lamb": lambda model: Lamb(model.parameters(), 0.1, (0.9, 0.999), 1e-8),
    "muon": lambda model: Muon(model.parameters(), 0.1, 0.95, 0.1, torch.float32),
}


def tagger(head: str = "lstm_crf") -> Tagger:
    return Tagger(new_encoder("bert", BERT, 30, 0.0), TagScheme(("a", "b")), ModelSettings(head=head, lstm_hidden=8))


def groups_of(optimisers: list[Optimizer]) -> list[dict]:
    return [group for optimiser in optimisers for group in optimiser.param_groups]


def rates(updates: int, warmup: float, peak: float = 1.0, shape: str = "linear") -> np.ndarray:
    optimiser = SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = SCHEDULES[shape].load()([optimiser], updates, warmup)
    found = []
    for done in range(updates):
        schedule.set(done)
        found.append(optimiser.param_groups[0]["lr"])
    return np.array(found)


def test_weights_of_linear_embedding_and_lstm_layers_decay_and_nothing_else():
    model = tagger()
    decayed, names = decayed_names(model), {name for name, _ in model.named_parameters()}
    assert decayed <= names
    assert {
        "encoder.model.embeddings.word_embeddings.weight",
        "encoder.model.embeddings.position_embeddings.weight",
        "encoder.model.encoder.layer.0.attention.self.query.weight",
        "heads.0.head.emit.weight",
        "heads.0.lstm.lstm.forwards.0.weight_ih_l0",
        "heads.0.lstm.lstm.backwards.0.weight_hh_l0",
    } <= decayed
    left = names - decayed
    assert all("bias" in name or "Norm" in name or "norm" in name or ".crf." in name for name in left)
    assert sum(".crf." in name for name in left) == 3
    assert not any("bias" in name or "orm" in name or ".crf." in name for name in decayed)


def test_a_bare_layer_has_names_without_a_prefix():
    assert decayed_names(nn.Linear(2, 2)) == {"weight"}
    assert decayed_names(nn.LayerNorm(2)) == set()


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("architecture", PRETRAINED)
def test_pretraining_has_every_parameter_in_one_group(architecture, optimiser):
    model = MaskedLm(architecture, BERT.replace(layers=3, groups=2), 30)
    settings = PretrainSettings(optimiser=optimiser, weight_decay=0.3)
    optimisers = pretraining_optimisers(model, settings, torch.float32)
    groups = groups_of(optimisers)
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(map(id, model.parameters()))
    where = {id(p): group for group in groups for p in group["params"]}
    decayed = decayed_names(model)
    assert all((where[id(p)]["weight_decay"] == 0.3) == (name in decayed) for name, p in model.named_parameters())
    by_muon = [p for o in optimisers if isinstance(o, Muon) for group in o.param_groups for p in group["params"]]
    matrices = {
        "bert": 3 * 6,
        "roberta": 3 * 6,
        "albert": 1 + 2 * 6,
        "electra": 1 + 3 * 6,
        "modern": 3 * 4,
        "transformer_xl": 2 * 3 * 6,
        "mass": 3 * 4,
    }  # albert: of each group once
    count = matrices.get(architecture, len(hidden_matrices(*model.encoders)))
    assert len(by_muon) == (count if optimiser == "muon" else 0)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_pretraining_s_betas_and_epsilon_reach_the_optimiser(optimiser):
    """RoBERTa's (Liu et al. 2019, arXiv 1907.11692 §3.1), unless asked otherwise."""
    for settings, beta2 in (({}, 0.98), ({"beta2": 0.999}, 0.999)):
        built = pretraining_optimisers(
            MaskedLm("roberta", BERT, 30), PretrainSettings(optimiser=optimiser, **settings), torch.float32
        )
        of_adam = groups_of([one for one in built if not isinstance(one, Muon)])
        assert {(group["betas"], group["eps"]) for group in of_adam} == {((0.9, beta2), 1e-6)}


def test_radam_is_torch_s_own_with_adamw_s_decay():
    """One step without a gradient to speak of moves a weight by rate times decay, as AdamW's does."""
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.zeros(3)
    (optimiser,) = OPTIMISERS["radam"].load()([Group([weight], 0.1, 0.5, 0.0)], Options(beta1=0.95))
    optimiser.step()
    assert torch.allclose(weight, torch.full((3,), 1 - 0.1 * 0.5))
    assert optimiser.param_groups[0]["betas"] == (0.95, 0.999)


def test_muon_needs_matrices_and_may_be_all_there_is():
    matrix, vector = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    with pytest.raises(ConfigError, match="expected an encoder with linear layers"):
        OPTIMISERS["muon"].load()([Group([vector], 0.1, 0.0, 0.2)], Options(matrices={matrix: 1}))
    muon, adamw = OPTIMISERS["muon"].load()([Group([vector, matrix], 0.1, 0.3, 0.2)], Options(matrices={matrix: 1}))
    (alone,) = OPTIMISERS["muon"].load()([Group([matrix], 0.1, 0.3, 0.2)], Options(matrices={matrix: 1}))
    for optimiser, rate, parameter in ((muon, 0.2, matrix), (adamw, 0.1, vector), (alone, 0.2, matrix)):
        (group,) = optimiser.param_groups
        assert (group["lr"], group["weight_decay"]) == (rate, 0.3)
        assert group["params"][0] is parameter


def model_and_optimiser(make: Callable[[nn.Module], Optimizer]) -> tuple[nn.Module, Optimizer, dict[Tensor, str]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.Tanh(), nn.Linear(6, 3, bias=False))
    return model, make(model), {parameter: name for name, parameter in model.named_parameters()}


def train(model: nn.Module, optimiser: Optimizer, steps: range) -> None:
    for step in steps:
        optimiser.zero_grad()
        inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
        model(inputs).square().sum().backward()
        optimiser.step()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_training_goes_on_from_saved_state_to_the_bit(tmp_path: Path, make):
    model, optimiser, names = model_and_optimiser(make)
    train(model, optimiser, range(3))
    save_state(tmp_path / "state", dict(model.named_parameters()) | state_tensors(optimiser, names, "o"), {})
    train(model, optimiser, range(3, 6))

    resumed, fresh, fresh_names = model_and_optimiser(make)
    tensors, _ = load_state(tmp_path / "state")
    with torch.no_grad():
        for name, weight in resumed.named_parameters():
            weight.copy_(tensors[name])
    load_state_tensors(fresh, fresh_names, "o", tensors)
    train(resumed, fresh, range(3, 6))
    assert all(a.equal(b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_state_comes_back_under_the_same_names(make):
    model, optimiser, names = model_and_optimiser(make)
    train(model, optimiser, range(2))
    state = {name: tensor.clone() for name, tensor in state_tensors(optimiser, names, "o").items()}
    assert {name.split("/")[1] for name in state} == set(names.values())
    _, fresh, fresh_names = model_and_optimiser(make)
    load_state_tensors(fresh, fresh_names, "o", state | {"p/0.weight/step": torch.tensor(9.0)})
    again = state_tensors(fresh, fresh_names, "o")
    assert again.keys() == state.keys()
    assert all(again[name].equal(tensor) for name, tensor in state.items())


def test_a_fresh_optimiser_has_no_state_to_save_and_takes_none():
    _, optimiser, names = model_and_optimiser(MAKERS["adamw"])
    assert state_tensors(optimiser, names, "o") == {}
    load_state_tensors(optimiser, names, "o", {})
    assert not optimiser.state


def test_loaded_state_lies_where_its_parameter_does():
    parameter = nn.Parameter(torch.empty(3, device="meta"))  # stands for a GPU
    optimiser = AdamW([parameter], lr=0.1, foreach=False)
    saved = {"o/p/step": torch.tensor(1.0), "o/p/exp_avg": torch.zeros(3), "o/p/exp_avg_sq": torch.zeros(3)}
    load_state_tensors(optimiser, {parameter: "p"}, "o", saved)
    assert optimiser.state[parameter]["exp_avg"].device == parameter.device
    assert optimiser.state[parameter]["exp_avg_sq"].device == parameter.device


def test_the_rate_starts_above_zero_peaks_at_the_end_of_warmup_and_ends_small():
    found = rates(100, 0.1, peak=0.5)
    assert 0 < found[0] == pytest.approx(0.05)
    assert found.argmax() == 9
    assert found.max() == 0.5
    assert 0 < found[-1] < 0.01


@given(st.integers(1, 300), st.floats(0, 0.99))
@examples(deadline=None)
def test_the_rate_is_one_line_up_to_the_peak_and_one_line_down(updates, warmup):
    found = rates(updates, warmup)
    top = max(1, round(updates * warmup)) - 1
    assert found[top] == found.max() == pytest.approx(1)
    assert found.min() > 0
    for part in (found[: top + 1], found[top:]):
        assert np.diff(part, 2) == pytest.approx(0, abs=1e-9)
    assert (np.diff(found[: top + 1]) > 0).all()
    assert (np.diff(found[top:]) < 0).all()


@given(st.integers(8, 300), st.floats(0, 0.99))
@examples(deadline=None)
def test_the_flat_rate_stays_at_its_peak_for_three_quarters_then_falls_by_half_a_cosine(updates, warmup):
    found = rates(updates, warmup, shape="flat_cosine")
    top, start = max(1, round(updates * warmup)) - 1, round(0.75 * updates)
    assert np.diff(found[: top + 1], 2) == pytest.approx(0, abs=1e-9)
    assert found[top : max(top + 1, start)] == pytest.approx(1)
    since = max(start, top + 1)
    left = (updates - np.arange(since, updates)) / (updates - since + 1)
    assert found[since:] == pytest.approx(np.sin(left * np.pi / 2) ** 2)
    assert found.min() > 0


def test_groups_keep_their_proportion_over_all_optimisers():
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    first, second = SGD([{"params": weights[0]}, {"params": weights[1], "lr": 3.0}], lr=1.0), SGD(weights[2:], lr=7.0)
    schedule = LinearSchedule([first, second], 20, 0.2)
    for done in chain(range(20), (0, 13)):
        schedule.set(done)
        one, three, seven = (group["lr"] for group in groups_of([first, second]))
        assert (three / one, seven / one) == pytest.approx((3, 7))
