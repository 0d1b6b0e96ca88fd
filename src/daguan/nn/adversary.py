"""Trains against a worst-case small change of some weights: a second loss is taken at the changed weights.

The change follows the gradient of the first loss, and is undone before the update, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from daguan.core.errors import ConfigError


@dataclass(frozen=True)
class Adversary:
    """Moves parameters along their gradients.

    Attributes:
        parameters: the ones to move.
        epsilon: the length of each move, with `relative` as a share of the parameter's norm.
        relative: see epsilon.
        adds: whether the second loss's gradient is added to the first one's; else it replaces it.
    """

    parameters: Sequence[Tensor]
    epsilon: float
    relative: bool
    adds: bool

    @torch.no_grad()
    def moves(self) -> dict[Tensor, Tensor]:
        """Returns the move of each parameter that has a gradient, 0 where that is 0; nothing waits for a GPU."""
        found = {}
        for parameter in self.parameters:
            if parameter.grad is not None:
                norm = parameter.grad.norm().double()
                length = self.epsilon * parameter.norm().double() if self.relative else self.epsilon
                found[parameter] = parameter.grad * (length / norm).where(norm > 0, 0)
        return found


@contextmanager
def moved(moves: Mapping[Tensor, Tensor]) -> Iterator[None]:
    """Moves the parameters inside the context; restores their exact bits afterwards."""
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


@dataclass(frozen=True)
class Attackable:
    """What an adversary may move, and by how much.

    Attributes:
        encoder: the model whose table of token embeddings `fgm` moves.
        weights: the trained weights under weight decay, which `awp` moves.
        fgm_epsilon: length of the move of the embeddings.
        awp_epsilon: length of the move of each weight, as a share of its norm.
    """

    encoder: nn.Module
    weights: Sequence[Tensor]
    fgm_epsilon: float = 1.0
    awp_epsilon: float = 5e-3


def no_adversary(attackable: Attackable) -> None:
    """Returns None: each batch has one loss."""


def fgm(attackable: Attackable) -> Adversary:
    """Returns the fast gradient method on the embeddings: r = ε·g/‖g‖, g over the whole table; gradients are added.

    Miyato et al. 2017 (arXiv 1605.07725 §3) move each sentence's normalised embeddings; contest solutions move the
    table.

    Raises:
        ConfigError: the encoder has no table of embeddings.
    """
    return Adversary([embedding_table(attackable.encoder)], attackable.fgm_epsilon, relative=False, adds=True)


def awp(attackable: Attackable) -> Adversary:
    """Returns adversarial weight perturbation (Wu et al. 2020, arXiv 2004.05884 §4): one step to the edge of the ball
    ‖v‖ ≤ ε·‖w‖ around each weight; the gradient there replaces the first one.
    """
    return Adversary(attackable.weights, attackable.awp_epsilon, relative=True, adds=False)


def embedding_table(encoder: nn.Module) -> Tensor:
    """Returns the weight of Hugging Face's `get_input_embeddings`. Raises ConfigError: there is no such table."""
    give: Any = getattr(encoder, "get_input_embeddings", lambda: None)
    try:
        found = give()
    except NotImplementedError:  # Hugging Face's own, where a model does not override it
        found = None
    if not isinstance(found, nn.Embedding):
        kind = type(encoder).__name__
        raise ConfigError(f"train.adversary: expected an encoder with a table of embeddings for fgm, got {kind}")
    return found.weight
