"""A head that classifies every span by a biaffine product of its ends."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, log_softmax

from daguan.data.tags import TagScheme
from daguan.models.heads.base import same_at_padding
from daguan.models.heads.span_scoring import SpanScoringHead, of_both_ends
from daguan.models.settings import ModelSettings
from daguan.nn.spans import span_at_each_token, spans_within

NONE = 0  # the class of a span that is no entity; type x is class x + 1


class BiaffineHead(SpanScoringHead):
    """A distribution over none and the types for each span, from a biaffine product of its ends (Yu et al. 2020, arXiv
    2005.07150), with boundary smoothing (Zhu & Li 2022, arXiv 2204.12031)."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.types = len(scheme.labels)
        self.extra_width = 2 * self.types
        self.smoothing, self.distance = settings.boundary_smoothing, settings.boundary_distance
        self.first, self.last = nn.Linear(width, settings.pointer_size), nn.Linear(width, settings.pointer_size)
        self.pair = nn.Linear(settings.pointer_size + 1, (1 + self.types) * (settings.pointer_size + 1), bias=False)
        nn.init.normal_(self.pair.weight, std=1 / settings.pointer_size)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """Return the logits of no entity and of each type, (B,T,T,1+X)."""
        first, last = (nn.functional.pad(gelu(end(features)), (0, 1), value=1.0) for end in (self.first, self.last))
        read = self.pair(first).unflatten(2, (1 + self.types, -1))  # (B,T,1+X,D)
        logits: Tensor = torch.einsum("bixd,bjd->bijx", read, last).float()
        if extra is None:
            return logits
        with_extra: Tensor = torch.cat([logits[..., :1], logits[..., 1:] + of_both_ends(extra)], dim=3)
        return with_extra

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        logs = log_softmax(scores, 3)
        fits = spans_within(mask)
        spans, real = span_at_each_token(tags, mask)
        targets = smoothed_boundaries(spans, real, fits, self.types, self.smoothing, self.distance)
        return -(targets * logs).masked_fill(~fits.unsqueeze(3), 0).sum()

    def weights(self, scores: Tensor) -> Tensor:
        return scores[..., 1:] - scores[..., :1]

    def local_log_probs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return same_at_padding(log_softmax(scores, 3), spans_within(mask))


def smoothed_boundaries(
    spans: Tensor, real: Tensor, fits: Tensor, types: int, smoothing: float, distance: int
) -> Tensor:
    """Return the targets (B,T,T,1+X) of boundary smoothing for gold spans (N,4) where `real` (N,), as from
    `span_at_each_token`; fits (B,T,T).

    A gold span has the mass 1 − ε. The mass ε is divided equally among the distances 1 … D, the sum of the offsets of
    both ends, and at distance d equally among its 4·d spans. The share of a span that does not exist stays with the
    gold span. The rest of each span's mass goes to the class of no entity. Shares that sum to more than 1, where the
    neighbourhoods of entities overlap, are scaled down.
    """
    targets = torch.zeros((*fits.shape, 1 + types), device=fits.device)
    row, first, last, kind = spans.unbind(1)
    of_kind = (kind + 1).where(real, NONE)
    kept = real.float()
    for down, right, share in _neighbours(distance, smoothing):
        i, j = first + down, last + right
        length = fits.shape[1]
        near = i.clamp(0, length - 1), j.clamp(0, length - 1)
        there = real & (near[0] == i) & (near[1] == j) & fits[row, *near]
        targets.index_put_((row, *near, of_kind), share * there, accumulate=True)
        kept = kept - share * there
    targets.index_put_((row, first, last, of_kind), kept, accumulate=True)
    total = targets.sum(3, keepdim=True)
    targets = targets / total.clamp(min=1)
    targets[..., NONE] = 1 - targets.sum(3)
    return targets


def _neighbours(distance: int, smoothing: float) -> list[tuple[int, int, float]]:
    """Return the offsets of both ends and the share of the mass for all spans at distances 1 … D."""
    if not smoothing:
        return []
    return [
        (down, right, smoothing / (distance * 4 * far))
        for far in range(1, distance + 1)
        for down in range(-far, far + 1)
        for right in sorted({far - abs(down), abs(down) - far})
    ]
