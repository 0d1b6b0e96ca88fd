"""What of a tagger is trained, and how: frozen parts, the optimiser's groups, Lookahead, the adversary."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daguan.core.errors import ConfigError
from daguan.models.tagger import ENCODER, Tagger
from daguan.nn.adversary import Adversary, Attackable
from daguan.nn.lookahead import Lookahead
from daguan.nn.muon import hidden_matrices
from daguan.nn.optimisers import Group, Options, decayed_names
from daguan.nn.tables import ADVERSARIES, OPTIMISERS
from daguan.training.fine_tuning_settings import WHOLE, TrainSettings

NGRAMS = ".ngrams."
ABOVE_ALL = "final_norm"
LAYER = re.compile(r"encoder\.model\.(?:\w+\.)*?(?:layers?|albert_layer_groups)\.(\d+)\.")


def freeze(model: Tagger, layers: int) -> None:
    """The lowest `layers` of the encoder and its embeddings ask for no gradient any more, or the WHOLE of it.

    Raises:
        ConfigError: the encoder has fewer layers.
    """
    there = _layers_of(model)
    if layers > there:
        raise ConfigError(f"train.frozen_layers: expected at most {there}, the encoder's layers, got {layers}")
    for name, parameter in model.named_parameters():
        below = ABOVE_ALL not in name and layer_of(name) < layers
        if name.startswith(ENCODER) and (layers == WHOLE or (layers and below)):
            parameter.requires_grad_(False)


def build_optimisers(model: Tagger, settings: TrainSettings, precision: torch.dtype) -> list[Optimizer]:
    """With a rate for each part, and decay where it belongs. Each parameter that is not frozen is in one group.

    Raises:
        ConfigError: the encoder has no matrices for Muon.
    """
    decayed = decayed_names(model)
    layers = _layers_of(model)
    parts: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = (*_rates_of(name, layers, settings), name in decayed)
            parts.setdefault(part, []).append(parameter)
    groups = [
        Group(parameters, rate, settings.weight_decay if decays else 0.0, muon_rate)
        for (rate, muon_rate, decays), parameters in parts.items()
    ]
    options = Options((settings.beta1, settings.beta2), 1e-8, hidden_matrices(model.encoder), precision)
    optimisers: list[Optimizer] = OPTIMISERS[settings.optimiser].load()(groups, options)
    if not settings.lookahead_steps:
        return optimisers
    how = settings.lookahead_steps, settings.lookahead_alpha, settings.lookahead_momentum
    return [Lookahead(optimiser, *how) for optimiser in optimisers]


def _rates_of(name: str, layers: int, settings: TrainSettings) -> tuple[float, float]:
    """The parameter's, and what it would be under Muon."""
    if not name.startswith(ENCODER):
        rate = settings.ngram_learning_rate if NGRAMS in name else settings.head_learning_rate
        return rate, settings.muon_learning_rate
    top = max(0, layers - 1)
    depth = top if ABOVE_ALL in name else max(0, layer_of(name))
    share = settings.layer_decay ** (top - depth)
    return settings.encoder_learning_rate * share, settings.muon_learning_rate * share


def _layers_of(model: nn.Module) -> int:
    return 1 + max((layer_of(name) for name, _ in model.named_parameters()), default=-1)


def layer_of(name: str) -> int:
    """The number of the encoder layer (of ALBERT, of the group of layers that share) a parameter belongs to, from 0; −1
    for one outside the layers."""
    found = LAYER.match(name)
    return int(found[1]) if found else -1


def build_adversary(model: Tagger, settings: TrainSettings) -> Adversary | None:
    """Return the adversary that the settings name, None for `none`.

    Raises:
        ConfigError: the encoder has no embeddings.
    """
    decayed = decayed_names(model)
    weights = [weight for name, weight in model.named_parameters() if name in decayed and weight.requires_grad]
    attackable = Attackable(model.encoder.model, weights, settings.fgm_epsilon, settings.awp_epsilon)
    adversary: Adversary | None = ADVERSARIES[settings.adversary].load()(attackable)
    return adversary


def current_weights(model: nn.Module, optimisers: list[Optimizer]) -> dict[str, Tensor]:
    """By name; of what Lookahead holds, the slow weights."""
    slow: dict[Tensor, Tensor] = {}
    for optimiser in optimisers:
        if isinstance(optimiser, Lookahead):
            slow |= optimiser.slow
    return {name: slow.get(parameter, parameter) for name, parameter in model.named_parameters()}
