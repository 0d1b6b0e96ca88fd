"""A head that scores the tags of each token by itself."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from daguan.data.tags import TagScheme
from daguan.models.heads.base import Head, at_tokens, same_at_padding
from daguan.models.settings import ModelSettings


class SoftmaxHead(Head):
    """A distribution over the K tags for each token, independent of the other tokens."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.extra_width = len(scheme)
        self.smoothing = settings.label_smoothing
        self.emit = nn.Linear(width, len(scheme))

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """Return a score for each tag, (B,T,K)."""
        emissions: Tensor = self.emit(features).float()
        return emissions if extra is None else emissions + extra

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        targets = at_tokens(tags, mask)
        return cross_entropy(scores.flatten(0, 1), targets, reduction="sum", label_smoothing=self.smoothing)

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        return scores.softmax(2) * mask.unsqueeze(2)

    def local_log_probs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return same_at_padding(log_softmax(scores, 2), mask)
