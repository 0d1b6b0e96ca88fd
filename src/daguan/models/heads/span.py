"""A head that scores where entities start and where they stop."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from daguan.data.tags import TagScheme
from daguan.models.heads.base import at_tokens, same_at_padding
from daguan.models.heads.span_scoring import SpanScoringHead
from daguan.models.settings import ModelSettings
from daguan.nn.spans import ends_in


class SpanHead(SpanScoringHead):
    """Two classes for each token: the type of the entity that starts there, and of the one that stops there, or none
    (rank 9's third model). The stops depend on the starts: the gold ones in training, their distribution in prediction.
    """

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.classes = 1 + len(scheme.labels)
        self.extra_width = 2 * self.classes
        self.smoothing = settings.label_smoothing
        self.start = nn.Linear(width, self.classes)
        self.condition = nn.Linear(width + self.classes, width)
        self.norm = nn.LayerNorm(width)
        self.stop = nn.Linear(width, self.classes)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """Return the logits of starts and of stops, (B,T,2,1+X)."""
        own = [0.0, 0.0] if extra is None else extra.chunk(2, dim=2)
        starts = self.start(features).float() + own[0]
        classes = torch.arange(self.classes, device=features.device)
        known = starts.softmax(2) if tags is None else self._classes(tags)[:, :, :1] == classes
        conditioned = torch.tanh(self.condition(torch.cat([features, known.to(features.dtype)], dim=2)))
        stops = self.stop(self.norm(conditioned)).float() + own[1]
        return torch.stack([starts, stops], dim=2)

    def _classes(self, tags: Tensor) -> Tensor:
        """Return the classes of starts and stops, (B,T,2), that follow from the tags."""
        starts, stops, types = ends_in(tags, torch.ones_like(tags, dtype=torch.bool))
        return (types.unsqueeze(2) + 1) * torch.stack([starts, stops], dim=2)

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        targets = at_tokens(self._classes(tags), mask)
        return cross_entropy(scores.flatten(0, 2), targets, reduction="sum", label_smoothing=self.smoothing)

    def weights(self, scores: Tensor) -> Tensor:
        odds = scores[..., 1:] - scores[..., :1]
        return odds[:, :, None, 0] + odds[:, None, :, 1]

    def local_log_probs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return same_at_padding(log_softmax(scores, 3), mask.unsqueeze(2).expand(-1, -1, 2))
