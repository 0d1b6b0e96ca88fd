"""The optimiser and the learning rate of each parameter of a tagger."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer, RAdam

from daguan.core.errors import ConfigError
from daguan.data.tags import TagScheme
from daguan.models.encoders.architecture import Depth
from daguan.models.encoders.loading import new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS, FROM_SCRATCH
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.nn.adversary import embedding_table
from daguan.nn.lookahead import Lookahead, current_weights
from daguan.nn.muon import Muon, hidden_matrices
from daguan.nn.optimisers import decayed_names
from daguan.nn.tables import OPTIMISERS
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.optimisation import (
    build_adversary,
    fine_tuning_optimisers,
    freeze,
)

DEEP = EncoderSettings(
    layers=3, hidden=16, heads=2, feed_forward=32, max_length=32, embedding_size=16, groups=3, ngram_buckets=9
)
EACH = pytest.mark.parametrize("architecture", FROM_SCRATCH)


def tagger(architecture: str = "bert", head: str = "lstm_crf") -> Tagger:
    settings = ModelSettings(head=head, lstm_hidden=8, ngram_buckets=16)
    return Tagger(new_encoder(architecture, DEEP, 30, 0.0), TagScheme(("a", "b")), settings)


def built(model: Tagger, **settings: Any) -> list[Optimizer]:
    return fine_tuning_optimisers(model, TrainSettings(**settings), torch.float32)


def where(optimisers: list[Optimizer]) -> dict[Tensor, dict[str, Any]]:
    return {p: group for optimiser in optimisers for group in optimiser.param_groups for p in group["params"]}


def number_in(name: str) -> int:
    """Returns the number of an encoder's layer; −1 below all layers, 9 above them."""
    return int(next(iter(re.findall(r"\d", name)), 9 if "final_norm" in name else -1))


def in_groups(optimisers: list[Optimizer]) -> list[int]:
    return sorted(id(p) for o in optimisers for group in o.param_groups for p in group["params"])


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("head", HEADS)
def test_every_parameter_is_in_one_group_with_its_rate_and_decay(head: str, optimiser: str) -> None:
    model = tagger(head=head)
    settings = {"encoder_learning_rate": 1.0, "head_learning_rate": 2.0, "ngram_learning_rate": 3.0}
    optimisers = built(model, weight_decay=0.3, optimiser=optimiser, muon_learning_rate=4.0, **settings)
    assert in_groups(optimisers) == sorted(map(id, model.parameters()))
    groups, decayed = where(optimisers), decayed_names(model)
    matrices = hidden_matrices(model.encoder) if optimiser == "muon" else {}
    for name, parameter in model.named_parameters():
        rate = 1.0 if name.startswith("encoder.") else 3.0 if ".ngrams." in name else 2.0
        assert groups[parameter]["lr"] == (4.0 if parameter in matrices else rate)
        assert groups[parameter]["weight_decay"] == (0.3 if name in decayed else 0.0)


@pytest.mark.parametrize("architecture", ["bert", "modern"])
def test_muon_moves_the_matrices_inside_the_encoder_s_layers_and_no_others(architecture: str) -> None:
    model = tagger(architecture)
    muon, adamw = built(model, optimiser="muon")
    assert isinstance(muon, Muon)
    assert isinstance(adamw, AdamW)
    groups = where([muon])
    names = [name for name, parameter in model.named_parameters() if parameter in groups]
    assert len(names) == {"bert": 6, "modern": 4}[architecture] * DEEP.layers
    assert all(re.match(r"encoder\..*layers?\.\d.*weight", name) for name in names)


WITH_MATRICES = [name for name in FROM_SCRATCH if ENCODERS[name].for_muon]


@pytest.mark.parametrize(
    ("architecture", "optimiser"), [*product(FROM_SCRATCH, ["adamw"]), *product(WITH_MATRICES, ["muon"])]
)
def test_lower_layers_learn_more_slowly(architecture: str, optimiser: str) -> None:
    model = tagger(architecture, "crf")
    rates = {"encoder_learning_rate": 1.0, "head_learning_rate": 7.0, "muon_learning_rate": 1.0}
    groups = where(built(model, layer_decay=0.5, optimiser=optimiser, **rates))
    found = {name: groups[parameter]["lr"] for name, parameter in model.named_parameters()}
    for name, rate in found.items():
        if name.startswith("encoder."):
            assert rate == 0.25 * 2 ** min(2, max(0, number_in(name))), name
        elif ".ngrams." not in name:
            assert rate == 7.0
    assert {rate for name, rate in found.items() if "embedding" in name} == {0.25}


@EACH
def test_each_parameter_lies_in_the_layer_that_its_name_says(architecture: str) -> None:
    """The rule by which earlier versions found the layer."""
    by_name = re.compile(r"(?:\w+\.)*?(?:layers?|albert_layer_groups)\.(\d+)\.")
    encoder = new_encoder(architecture, DEEP, 30, 0.0)
    depth = encoder.depth
    numbers = depth.numbers()
    assert len(depth.layers) == ENCODERS[architecture].layers(DEEP)
    for name, parameter in encoder.model.named_parameters():
        found = by_name.match(name)
        outside = len(depth.layers) if "final_norm" in name else None
        assert numbers.get(parameter) == (int(found[1]) if found else outside), name


def test_layer_decay_changes_nothing_in_an_encoder_without_layers() -> None:
    model = tagger()
    model.encoder.architecture = replace(model.encoder.architecture, depth=lambda model: Depth([]))
    groups = where(built(model, layer_decay=0.5, encoder_learning_rate=1.0))
    assert {groups[parameter]["lr"] for parameter in model.encoder.parameters()} == {1.0}


def test_ranger_is_radam_inside_lookahead() -> None:
    (ranger,) = built(tagger(), optimiser="radam", lookahead_steps=6, schedule="flat_cosine", beta1=0.95)
    assert isinstance(ranger, Lookahead)
    assert isinstance(ranger.inner, RAdam)
    assert (ranger.steps, ranger.alpha, ranger.momentum) == (6, 0.5, "maintain")
    assert {group["betas"] for group in ranger.inner.param_groups} == {(0.95, 0.999)}


def test_current_weights_are_the_slow_ones_of_every_lookahead() -> None:
    model = tagger()
    optimisers = built(model, optimiser="muon", lookahead_steps=3)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    for optimiser in optimisers:
        optimiser.step()
    slow = current_weights(model, optimisers)
    assert slow.keys() == before.keys()
    assert all(slow[name].equal(before[name]) for name in before)
    assert not any(parameter.equal(before[name]) for name, parameter in model.named_parameters())
    assert current_weights(model, built(model)) == dict(model.named_parameters())


@pytest.mark.parametrize("layers", [0, 1, 2, 3, -1])
@EACH
def test_the_lowest_layers_and_the_embeddings_are_frozen(architecture: str, layers: int) -> None:
    model = tagger(architecture)
    freeze(model, layers)
    for name, parameter in model.named_parameters():
        frozen = name.startswith("encoder.") and (layers == -1 or (layers > 0 and number_in(name) < layers))
        assert parameter.requires_grad is not frozen, name
    groups = where(built(model))
    assert all((parameter in groups) is parameter.requires_grad for parameter in model.parameters())


def test_more_frozen_layers_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"frozen_layers: expected at most 3, the encoder's layers, got 4"):
        freeze(tagger(), 4)


@pytest.mark.parametrize(("architecture", "layers"), [("bert", -1), ("lstm", 0)])
def test_muon_is_refused_where_no_matrix_is_trained(architecture: str, layers: int) -> None:
    model = tagger(architecture)
    freeze(model, layers)
    with pytest.raises(ConfigError, match="optimiser=muon"):
        built(model, optimiser="muon")


@EACH
def test_the_adversary_of_embeddings_moves_the_word_table_alone(architecture: str) -> None:
    model = tagger(architecture)
    adversary = build_adversary(model, TrainSettings(adversary="fgm", fgm_epsilon=0.3))
    assert adversary is not None
    (table,) = adversary.parameters
    assert table is model.encoder.model.get_input_embeddings().weight
    assert len(table) == 30
    assert (adversary.epsilon, adversary.relative, adversary.adds) == (0.3, False, True)


def test_the_adversary_of_weights_moves_what_decays_and_is_not_frozen() -> None:
    model = tagger()
    freeze(model, 1)
    adversary = build_adversary(model, TrainSettings(adversary="awp", awp_epsilon=0.02))
    assert adversary is not None
    names = {name for name, parameter in model.named_parameters() if parameter in set(adversary.parameters)}
    assert names == {name for name in decayed_names(model) if model.get_parameter(name).requires_grad}
    assert (adversary.epsilon, adversary.relative, adversary.adds) == (0.02, True, False)
    assert build_adversary(model, TrainSettings()) is None


def test_an_encoder_without_embeddings_is_refused() -> None:
    class Bare(nn.Module):
        def get_input_embeddings(self) -> nn.Module:
            raise NotImplementedError

    for encoder in (Bare(), nn.Linear(2, 2)):
        with pytest.raises(ConfigError, match="expected an encoder with a table of embeddings for fgm"):
            embedding_table(encoder)
