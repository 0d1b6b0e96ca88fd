"""Optimisers, schedules, and optimiser states as named tensors, so that checkpoints need no pickle."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer, RAdam

from daguan.core.errors import ConfigError
from daguan.nn.lookahead import Lookahead
from daguan.nn.muon import Muon
from daguan.nn.optimiser_settings import OptimiserSettings
from daguan.nn.shares import placed_like, whole

MUON_MOMENTUM = 0.95
FLAT_SHARE = 0.75
DECAYED = (nn.Linear, nn.Embedding, nn.RNNBase)


def decayed_names(model: nn.Module) -> set[str]:
    """Returns the names of the parameters under weight decay: weights of linear, embedding and recurrent layers.

    They are chosen by module type: CRF transitions are matrices too, and decay would erode them.
    """
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, DECAYED)
        for name, _ in module.named_parameters(recurse=False)
        if "bias" not in name
    }


@dataclass(frozen=True)
class Group:
    """Parameters that share a rate and a decay.

    Attributes:
        parameters: the parameters.
        rate: the peak learning rate.
        decay: the weight decay.
        muon_rate: the peak rate of those that Muon moves.
    """

    parameters: Sequence[nn.Parameter]
    rate: float
    decay: float
    muon_rate: float


@dataclass(frozen=True)
class Options:
    """Options of optimisers.

    Attributes:
        settings: the settings of the optimiser.
        beta1, epsilon: of the Adam family, beside the settings' β₂.
        matrices: what Muon moves, from `hidden_matrices`.
        precision: of Muon's products.
    """

    settings: OptimiserSettings = field(default_factory=OptimiserSettings)
    beta1: float = 0.9
    epsilon: float = 1e-8
    matrices: Mapping[Tensor, int] = field(default_factory=dict)
    precision: torch.dtype = torch.float32

    @property
    def betas(self) -> tuple[float, float]:
        return self.beta1, self.settings.beta2


def new_adamw(groups: Sequence[Group], options: Options) -> list[Optimizer]:
    """Returns AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101)."""
    fused = True  # a quarter of the loop's time on a CPU
    return [AdamW(adam_groups(groups), betas=options.betas, eps=options.epsilon, fused=fused)]


def new_radam(groups: Sequence[Group], options: Options) -> list[Optimizer]:
    """Returns RAdam (Liu et al. 2020, arXiv 1908.03265) with AdamW's decay."""
    on_gpu = any(parameter.is_cuda for group in groups for parameter in group.parameters)
    return [
        RAdam(
            adam_groups(groups), betas=options.betas, eps=options.epsilon, decoupled_weight_decay=True,
            capturable=on_gpu,  # counts steps on the GPU, too
        )
    ]  # fmt: skip


def new_muon(groups: Sequence[Group], options: Options) -> list[Optimizer]:
    """Returns Muon for the matrices inside the encoder's layers, and AdamW for the rest.

    Raises:
        ConfigError: there are no such matrices, or none of them is trained.
    """
    of_muon: list[dict[str, object]] = []
    rest = []
    for group in groups:
        by_count: dict[int, list[nn.Parameter]] = {}
        for parameter in group.parameters:
            by_count.setdefault(options.matrices.get(parameter, 0), []).append(parameter)
        rest.append(replace(group, parameters=by_count.pop(0, [])))
        of_muon += [
            {"params": parameters, "count": count, "lr": group.muon_rate, "weight_decay": group.decay}
            for count, parameters in by_count.items()
        ]
    if not of_muon:
        raise ConfigError("optimiser=muon: expected an encoder with linear layers to train, got none")
    muon = Muon(of_muon, 0.0, MUON_MOMENTUM, 0.0, options.precision)
    return [muon, *(new_adamw(rest, options) if any(group.parameters for group in rest) else ())]


def adam_groups(groups: Sequence[Group]) -> list[dict[str, object]]:
    """Returns the groups as torch's optimisers take them, without empty ones."""
    return [
        {"params": group.parameters, "lr": group.rate, "weight_decay": group.decay}
        for group in groups
        if group.parameters
    ]


def state_tensors(optimiser: Optimizer, names: dict[Tensor, str], prefix: str) -> dict[str, Tensor]:
    """Returns the optimiser's state as `prefix/parameter/key` → tensor."""
    found = {
        f"{prefix}/{names[parameter]}/{key}": whole(torch.as_tensor(value))
        for parameter, state in optimiser.state.items()
        for key, value in state.items()
    }
    if isinstance(optimiser, Lookahead):
        for part, weights in _parts_of(optimiser, prefix).items():
            found |= {f"{part}/{names[parameter]}": whole(weight) for parameter, weight in weights.items()}
        found[f"{prefix}.done"] = torch.tensor(optimiser.done)
    return found


def load_state_tensors(optimiser: Optimizer, names: dict[Tensor, str], prefix: str, tensors: dict[str, Tensor]) -> None:
    """Restores `state_tensors` in a fresh optimiser over the same parameters."""
    for parameter in chain.from_iterable(group["params"] for group in optimiser.param_groups):
        start = f"{prefix}/{names[parameter]}/"
        state = {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
        if state:
            optimiser.state[parameter] = {key: placed_like(value, parameter) for key, value in state.items()}
    if isinstance(optimiser, Lookahead):
        for part, weights in _parts_of(optimiser, prefix).items():
            there = {parameter: f"{part}/{names[parameter]}" for parameter in optimiser.slow}
            weights |= {p: placed_like(tensors[name], p) for p, name in there.items() if name in tensors}
        optimiser.done = int(tensors[f"{prefix}.done"])


def _parts_of(optimiser: Lookahead, prefix: str) -> dict[str, dict[Tensor, Tensor]]:
    return {f"{prefix}.slow": optimiser.slow, f"{prefix}.slow_momentum": optimiser.slow_momentum}


class Schedule(ABC):
    """Sets each group's rate as a share of its peak.

    The share rises linearly from 0 over the warm-up updates, then falls on a curve that would reach 0 after the last
    update.
    """

    def __init__(self, optimisers: Sequence[Optimizer], updates: int, warmup: float) -> None:
        self.groups = [(group, group["lr"]) for optimiser in optimisers for group in optimiser.param_groups]
        self.updates = updates
        self.warmup_updates = max(1, round(updates * warmup))

    def set(self, done: int) -> None:
        """Sets the rates for the update after `done` finished ones."""
        rise = (done + 1) / self.warmup_updates
        for group, peak in self.groups:
            group["lr"] = peak * max(0.0, min(1.0, rise, self.fall(done)))

    @abstractmethod
    def fall(self, done: int) -> float:
        """Returns the share after the warm-up; above 1 before it begins to fall."""

    def left(self, done: int, since: int) -> float:
        """Returns the remaining fraction of the way from the last of the first `since` updates, 1, to beyond the end,
        0."""
        return (self.updates - done) / max(1, self.updates - since + 1)


class LinearSchedule(Schedule):
    """Falls linearly from the end of the warm-up."""

    def fall(self, done: int) -> float:
        return self.left(done, self.warmup_updates)


class FlatCosineSchedule(Schedule):
    """Stays at the peak for three quarters of the updates, then falls along half a cosine (Ranger's advice)."""

    def fall(self, done: int) -> float:
        left = self.left(done, max(self.warmup_updates, round(FLAT_SHARE * self.updates)))
        return 0.5 - 0.5 * math.cos(math.pi * min(1.0, left))
