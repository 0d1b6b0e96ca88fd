"""The efficient GlobalPointer: a score for every span and type."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from daguan.data.tags import TagScheme
from daguan.models.heads.base import same_at_padding
from daguan.models.heads.span_scoring import SpanScoringHead, of_both_ends
from daguan.models.settings import ModelSettings
from daguan.nn.fused import rotate
from daguan.nn.spans import span_at_each_token, spans_within

ROTATION_BASE = 10000.0


class GlobalPointerHead(SpanScoringHead):
    """The efficient GlobalPointer (Su et al. 2022, arXiv 2208.03054 §3.3): a product of both ends, which have rotary
    positions, is shared by all types; each type adds a score for either end. A span scored over 0 is an entity."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.types = len(scheme.labels)
        self.extra_width = 2 * self.types
        self.ends = nn.Linear(width, 2 * settings.pointer_size)
        self.kinds = nn.Linear(2 * settings.pointer_size, 2 * self.types)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """Return the score of each span and type, (B,T,T,X)."""
        ends = self.ends(features)
        of_kinds = self.kinds(ends).float()
        first, last = rotate(ends.unflatten(2, (2, -1)), _turns(ends)).unbind(2)
        alike: Tensor = (first @ last.mT).float() * first.shape[2] ** -0.5
        return alike.unsqueeze(3) + of_both_ends(of_kinds if extra is None else of_kinds + extra)

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        gold = torch.zeros_like(scores, dtype=torch.bool)
        if self.types:
            spans, real = span_at_each_token(tags, mask)
            gold.index_put_(spans.unbind(1), real)
        return multilabel_loss(*(x.permute(0, 3, 1, 2).flatten(2) for x in (scores, gold, self._fits(scores, mask))))

    def _fits(self, scores: Tensor, mask: Tensor) -> Tensor:
        return spans_within(mask).unsqueeze(3).expand_as(scores)

    def weights(self, scores: Tensor) -> Tensor:
        return scores

    def local_log_probs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return, for each span and type, the distribution of whether it is an entity."""
        logs = torch.stack([logsigmoid(scores), logsigmoid(-scores)], dim=4)
        return same_at_padding(logs, self._fits(scores, mask))


def _turns(features: Tensor) -> Tensor:
    """Return the cosines and sines (2,T,1,D/4) of rotary positions for features (B,T,D), which hold two vectors."""
    half = features.shape[2] // 4
    frequencies = ROTATION_BASE ** (-torch.arange(half, device=features.device) / half)
    angles = torch.arange(features.shape[1], device=features.device).unsqueeze(1) * frequencies
    return torch.stack([angles.cos(), angles.sin()]).unsqueeze(2).to(features.dtype)


def multilabel_loss(scores: Tensor, gold: Tensor, fits: Tensor) -> Tensor:
    """Return Σ log(1 + Σ_{not gold} exp s) + log(1 + Σ_{gold} exp −s) over all but the last dimension (Su et al. 2022
    eq. 5), for scores, `gold` and `fits` (which scores count) of one shape (…,N)."""
    never = torch.finfo(scores.dtype).min
    zero = scores.new_zeros((*scores.shape[:-1], 1))
    wrong = torch.cat([zero, scores.masked_fill(gold | ~fits, never)], dim=-1).logsumexp(-1)
    right = torch.cat([zero, (-scores).masked_fill(~(gold & fits), never)], dim=-1).logsumexp(-1)
    return (wrong + right).sum()
