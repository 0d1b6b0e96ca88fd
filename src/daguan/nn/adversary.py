"""Training against the worst small change of some weights: a second loss is taken where the first one's gradient leads.

The change is removed before the update, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

ADVERSARIES = ("none", "fgm", "awp")


@dataclass(frozen=True)
class Adversary:
    """Moves each of `parameters` along its gradient by ε, or with `relative` by ε times its own norm. `adds`: the
    second loss's gradient is added to the first one's; else it takes its place."""

    parameters: Sequence[Tensor]
    epsilon: float
    relative: bool
    adds: bool

    @torch.no_grad()
    def moves(self) -> dict[Tensor, Tensor]:
        """How far each parameter goes; one whose gradient is zero or missing has nowhere to go and is left out."""
        found = {}
        for parameter in self.parameters:
            norm = 0.0 if parameter.grad is None else parameter.grad.norm().item()
            if parameter.grad is not None and norm:
                length = self.epsilon * (parameter.norm().item() if self.relative else 1.0)
                found[parameter] = parameter.grad * (length / norm)
        return found


@contextmanager
def moved(moves: Mapping[Tensor, Tensor]) -> Iterator[None]:
    """Inside, the parameters are moved; afterwards they hold their own bits again."""
    own = [parameter.detach().clone() for parameter in moves]
    with torch.no_grad():
        for parameter, move in moves.items():
            parameter.add_(move)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, weight in zip(moves, own, strict=True):
                parameter.copy_(weight)


def fgm(table: Tensor, epsilon: float) -> Adversary:
    """The fast gradient method on a table of embeddings: r = ε·g/‖g‖, g over the whole table, and the gradients of both
    losses are added. (Miyato et al. 2017, arXiv 1605.07725 §3, move each sentence's normalised embeddings; moving the
    table is what contests made of it.)"""
    return Adversary([table], epsilon, relative=False, adds=True)


def awp(weights: Sequence[Tensor], epsilon: float) -> Adversary:
    """Adversarial weight perturbation (Wu et al. 2020, arXiv 2004.05884 §4): one step to the edge of the ball
    ‖v‖ ≤ ε·‖w‖ around each weight, and the gradient there alone counts."""
    return Adversary(weights, epsilon, relative=True, adds=False)
