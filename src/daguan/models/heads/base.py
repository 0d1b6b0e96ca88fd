"""The interface of a head, which stands on an encoder. A new head is one file and one row of table.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor, nn


class Head(nn.Module, ABC):
    """Features of tokens → scores; scores → a loss in training, tag marginals in prediction.

    extra_width: how many scores a token n-gram features may add (see `scores`).
    """

    extra_width: int

    @abstractmethod
    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """features (B,T,H), extra (B,T,extra_width) to be added if there is any, gold tags (B,T) in training only, mask
        (B,T) → (B,…) in float32, of a shape that is the head's own."""

    @abstractmethod
    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """The summed negative log-likelihood. tags (B,T), mask (B,T) → ()."""

    @abstractmethod
    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        """P(tag) at each token → (B,T,K) float32, 0 at padding."""

    def start_from(self, folder: Path) -> None:
        """Take what the encoder's checkpoint has for the head, if anything. Raises CheckpointError: of other sizes."""

    def scores_a_row(self, length: int) -> int:
        """How many scores the marginals of a row of so many places are made from: what memory goes by."""
        return length * self.extra_width

    @abstractmethod
    def beliefs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """The head's local distributions (those that gold tags (B,T) lead to): logarithms (N,C), what R-Drop
        compares."""


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Half of KL(one‖other) + KL(other‖one), summed over the distributions; logarithms (N,C) both → ()."""
    return 0.5 * ((one.exp() - other.exp()) * (one - other)).sum()


def mean_of(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors).mean(0)
