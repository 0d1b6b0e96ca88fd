"""What stands on an encoder: `Head`, and those that score every token: softmax and CRF.

A new head is one class and one line of the table in models/settings.py (docs/extending.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from daguan.data.tags import TagScheme
from daguan.models.settings import ModelSettings
from daguan.nn.crf import ConstrainedCrf


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


class SoftmaxHead(Head):
    """A distribution over the K tags for each token by itself."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.extra_width = len(scheme)
        self.smoothing = settings.label_smoothing
        self.emit = nn.Linear(width, len(scheme))

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """(B,T,K)."""
        emissions: Tensor = self.emit(features).float()
        return emissions if extra is None else emissions + extra

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return cross_entropy(scores[mask], tags[mask], reduction="sum", label_smoothing=self.smoothing)

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        return scores.softmax(2) * mask.unsqueeze(2)

    def beliefs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return log_softmax(scores[mask], 1)


class CrfHead(SoftmaxHead):
    """The same scores under a CRF. Its local distributions are those of its emissions."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__(width, scheme, settings)
        self.crf = ConstrainedCrf(scheme)

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return self.crf.loss(scores, tags, mask, self.smoothing)

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        return self.crf.marginals(scores, mask)


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Half of KL(one‖other) + KL(other‖one), summed over the distributions; logarithms (N,C) both → ()."""
    return 0.5 * ((one.exp() - other.exp()) * (one - other)).sum()


def mean_of(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors).mean(0)
