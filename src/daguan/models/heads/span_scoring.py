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
    """A head whose answer is a weight for each span."""

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        return tag_marginals(span_marginals(self.weights(scores), mask), mask)

    def scores_a_row(self, length: int) -> int:
        return length**2 * self.extra_width

    @abstractmethod
    def weights(self, scores: Tensor) -> Tensor:
        """Scores → log-odds of spans (B,T,T,X)."""


def of_both_ends(scores: Tensor) -> Tensor:
    """(B,T,2X), of starts and of stops → (B,T,T,X): a span has its start's and its stop's."""
    starts, stops = scores.chunk(2, dim=2)
    return starts.unsqueeze(2) + stops.unsqueeze(1)
