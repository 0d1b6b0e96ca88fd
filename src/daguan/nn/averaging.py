"""Averages weights over the updates of a run, or over several models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from daguan.nn.shares import local, placed_like
from daguan.nn.tables import AVERAGES


class WeightAverage:
    """Updates shadow ← shadow + share·(weight − shadow); `kind` selects the share in AVERAGES.

    Args:
        decay: of the moving average.
        start: the number of updates that the equal average leaves out.
    """

    def __init__(self, weights: Mapping[str, Tensor], kind: str, decay: float = 0.0, start: int = 0) -> None:
        self.share: Callable[[int, float, int], float] = AVERAGES[kind].load()
        self.decay, self.start = decay, start
        self.updates = 0
        self.shadow = {name: weight.detach().clone() for name, weight in weights.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Takes in the weights after an update; the names must be the first ones."""
        self.updates += 1
        share = self.share(self.updates, self.decay, self.start)
        shadow, new = [*map(local, self.shadow.values())], [local(weights[name]) for name in self.shadow]
        torch._foreach_lerp_(shadow, new, share)


def moving_share(updates: int, decay: float, start: int) -> float:
    """Returns 1 − d with d = min(decay, (1+n)/(10+n)), so that early updates count.

    The ramp of d is that of TensorFlow's ExponentialMovingAverage with `num_updates`.
    """
    return 1 - min(decay, (1 + updates) / (10 + updates))


def equal_share(updates: int, decay: float, start: int) -> float:
    """Returns the share for the mean of all weights after the first `start` updates; until then the last weights."""
    return 1 / max(1, updates - start)


def whole_share(updates: int, decay: float, start: int) -> float:
    """Returns 1: the average is the last weights."""
    return 1.0


def mean_weights(models: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the equal average of several models' weights, in float64; the average of copies has their exact bits.

    The values of each number are added by size, so the order of the models does not matter.
    """
    return {name: _mean([weights[name] for weights in models]) for name in models[0]}


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    by_size = torch.stack([*tensors]).double().sort(0).values
    total = by_size[0].clone()
    for others in by_size[1:]:
        total += others
    return (total / len(tensors)).to(tensors[0].dtype)


@contextmanager
def lent(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Gives the model these weights inside the context; restores its own afterwards."""
    own = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    copy_into(model, weights)
    try:
        yield
    finally:
        copy_into(model, own)


@torch.no_grad()
def copy_into(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        parameter = model.get_parameter(name)
        parameter.copy_(placed_like(weight, parameter))
