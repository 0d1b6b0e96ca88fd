"""A head that is a pointer network: it emits entities one after another (nn/span_decoder.py), by beam search."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from daguan.data.tags import TagScheme
from daguan.models.heads.base import Head
from daguan.models.settings import ModelSettings
from daguan.nn.pointer_attention import FORBIDDEN
from daguan.nn.span_beam import best_sequences
from daguan.nn.span_decoder import SpanDecoder, choice_loss
from daguan.nn.spans import gold_spans


class PointerHead(Head):
    """A pointer network over entities in reading order.

    The loss is exact: −log P of the entities, where each step is given the gold ones before it. The marginals come from
    the last `beam` sets of entities of the beam search, weighted by their probabilities, which are scaled to sum to 1.
    They are overconfident where a sentence has more uncertain entities than that number of sets can represent.
    """

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.tags, self.beam, self.smoothing = len(scheme), settings.beam, settings.label_smoothing
        self.decoder = SpanDecoder(width, settings.pointer_size, len(scheme.labels))
        self.extra_width = self.decoder.extra_width

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """Return the decoder's projections of each token, (B,T,C); the decoder runs in `loss` and `marginals`."""
        return self.decoder.read(features, extra).float()

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        choices = self._choices(scores, tags, mask)
        return torch.stack([choice_loss(logs, chosen, self.smoothing) for logs, chosen in choices]).sum()

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        with _in_full(scores):
            tags, logs = best_sequences(self.decoder, self.decoder.open(scores, mask), self.beam)
        shares = logs.softmax(1).unsqueeze(1).expand(-1, mask.shape[1], -1)
        answer = scores.new_zeros((*mask.shape, self.tags)).scatter_add_(2, tags.mT, shares)
        return answer.float() * mask.unsqueeze(2)

    def scores_per_row(self, length: int) -> int:
        return length * self.beam * self.decoder.size

    def local_log_probs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        found = [logs for logs, _ in self._choices(scores, tags, mask)]
        most = max(logs.shape[1] for logs in found)
        return torch.cat([pad(logs, (0, most - logs.shape[1]), value=FORBIDDEN) for logs in found])

    def _choices(self, scores: Tensor, tags: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
        with _in_full(scores):
            return self.decoder.choices(self.decoder.open(scores, mask), gold_spans(tags, mask))


def _in_full(scores: Tensor) -> torch.autocast:
    """Disable autocast: the decoder needs float32, as the probability of a sequence is a product of many factors."""
    return torch.autocast(scores.device.type, enabled=False)
