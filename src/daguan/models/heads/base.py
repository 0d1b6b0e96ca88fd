"""The interface of heads. A new head is one file in this folder and one row of table.py (docs/extending.md)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor, nn

LEFT_OUT = -100  # the class that torch's cross entropy leaves out


class Head(nn.Module, ABC):
    """Turns features of tokens into scores, and scores into a loss in training and into tag marginals in prediction.

    Attributes:
        extra_width: the number of scores for each token to which n-gram features may add (see `scores`).
    """

    extra_width: int

    @abstractmethod
    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """Return scores (B,…) in float32, in a shape that each head chooses.

        features (B,T,H); extra (B,T,extra_width) or None, to be added; gold tags (B,T), in training only; mask (B,T).
        """

    @abstractmethod
    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the summed negative log-likelihood () of tags (B,T); mask (B,T)."""

    @abstractmethod
    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Return P(tag) at each token, (B,T,K) float32, 0 at padding."""

    def load_pretrained(self, folder: Path) -> None:
        """Load the weights that the encoder's checkpoint holds for the head; most heads have none.

        Raises:
            CheckpointError: the weights have other sizes.
        """

    def scores_per_row(self, length: int) -> int:
        """Return how many scores the marginals of a row of that length need; memory grows with it."""
        return length * self.extra_width

    @abstractmethod
    def local_log_probs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the logarithms (N,C) of N local distributions along gold tags (B,T), which R-Drop compares."""


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return half of KL(one‖other) + KL(other‖one), summed over N distributions, given as logarithms (N,C)."""
    return 0.5 * ((one.exp() - other.exp()) * (one - other)).sum()


def at_tokens(tags: Tensor, mask: Tensor) -> Tensor:
    """Return the targets (B·T·…) of a cross entropy that leaves out padding: tags (B,T,…) of tokens, mask (B,T).

    Rows that a mask selects would have a number for which the computation waits for a GPU.
    """
    return tags.masked_fill(~mask.view(*mask.shape, *[1] * (tags.dim() - 2)), LEFT_OUT).flatten()


def same_at_padding(logs: Tensor, counts: Tensor) -> Tensor:
    """Return log distributions (N,C) of (…,C), the uniform one where `counts` (…) is false, so that passes agree
    there."""
    return logs.masked_fill(~counts.unsqueeze(-1), -math.log(logs.shape[-1])).flatten(0, -2)


def mean_of(tensors: list[Tensor]) -> Tensor:
    """Return the mean of tensors of one shape."""
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors).mean(0)
