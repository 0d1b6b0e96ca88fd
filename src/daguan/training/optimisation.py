"""Which parameters of a tagger are trained, and how: freezing, rates by depth, Lookahead, the adversary."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from daguan.core.errors import ConfigError
from daguan.models.tagger import ENCODER, Tagger
from daguan.nn.adversary import Adversary, Attackable
from daguan.nn.lookahead import with_lookahead
from daguan.nn.muon import hidden_matrices
from daguan.nn.optimisers import Group, Options, decayed_names
from daguan.nn.tables import ADVERSARIES, OPTIMISERS
from daguan.training.fine_tuning_settings import WHOLE, TrainSettings

NGRAMS = ".ngrams."
EMBEDDINGS = -1  # the number of the layer of what lies below all layers


def freeze(model: Tagger, layers: int) -> None:
    """Stop the training of the lowest `layers` of the encoder and of its embeddings; with WHOLE, of the whole encoder.

    Raises:
        ConfigError: the encoder has fewer layers.
    """
    depth = model.encoder.depth
    if layers > len(depth.layers):
        expected = f"at most {len(depth.layers)}, the encoder's layers"
        raise ConfigError(f"train.frozen_layers: expected {expected}, got {layers}")
    numbers = depth.numbers()
    for parameter in model.encoder.parameters():
        if layers == WHOLE or (layers and numbers.get(parameter, EMBEDDINGS) < layers):
            parameter.requires_grad_(False)


def fine_tuning_optimisers(model: Tagger, settings: TrainSettings, precision: torch.dtype) -> list[Optimizer]:
    """Returns the optimisers that the settings name; each trained parameter is in one group, with its rate and decay.

    Raises:
        ConfigError: the encoder has no matrices for Muon.
    """
    decayed = decayed_names(model)
    depth = model.encoder.depth
    numbers, top = depth.numbers(), max(0, len(depth.layers) - 1)
    parts: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            from_top = top - min(top, max(0, numbers.get(parameter, EMBEDDINGS)))
            part = (*_rates_of(name, from_top, settings), name in decayed)
            parts.setdefault(part, []).append(parameter)
    groups = [
        Group(parameters, rate, settings.weight_decay if decays else 0.0, muon_rate)
        for (rate, muon_rate, decays), parameters in parts.items()
    ]
    options = Options(settings, settings.beta1, 1e-8, hidden_matrices(model.encoder), precision)
    optimisers: list[Optimizer] = OPTIMISERS[settings.optimiser].load()(groups, options)
    return with_lookahead(optimisers, settings)


def _rates_of(name: str, from_top: int, settings: TrainSettings) -> tuple[float, float]:
    """Returns the parameter's rate and Muon's, should Muon move it; from_top: how far its layer is from the top one."""
    if not name.startswith(ENCODER):
        rate = settings.ngram_learning_rate if NGRAMS in name else settings.head_learning_rate
        return rate, settings.muon_learning_rate
    share = settings.layer_decay**from_top
    return settings.encoder_learning_rate * share, settings.muon_learning_rate * share


def build_adversary(model: Tagger, settings: TrainSettings) -> Adversary | None:
    """Returns the adversary that the settings name, None for `none`.

    Raises:
        ConfigError: the encoder has no embeddings.
    """
    decayed = decayed_names(model)
    weights = [weight for name, weight in model.named_parameters() if name in decayed and weight.requires_grad]
    attackable = Attackable(model.encoder.model, weights, settings.fgm_epsilon, settings.awp_epsilon)
    adversary: Adversary | None = ADVERSARIES[settings.adversary].load()(attackable)
    return adversary
