"""What heads that score spans share.

Each gives the log-odds of every span; nn/spans.py makes tag marginals of them, over sets of spans that never overlap,
so that they are decoded and blended as any other head's.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from daguan.models.heads.base import Head
from daguan.nn.spans import span_marginals, tag_marginals


class SpanScoringHead(Head):
    """A head that gives every span of every type a weight."""

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        return tag_marginals(span_marginals(self.weights(scores), mask), mask)

    def scores_per_row(self, length: int) -> int:
        return length**2 * self.extra_width

    @abstractmethod
    def weights(self, scores: Tensor) -> Tensor:
        """Return the log-odds of spans, (B,T,T,X), from the scores."""


def of_both_ends(scores: Tensor) -> Tensor:
    """Return (B,T,T,X): each span's sum of its start's and its stop's score, given as (B,T,2X)."""
    starts, stops = scores.chunk(2, dim=2)
    return starts.unsqueeze(2) + stops.unsqueeze(1)
