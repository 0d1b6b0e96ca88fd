"""A linear-chain CRF head by the pytorch-crf package: slower than crf.py, short to read, and equal to it in results.

crf.py is tested against this head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchcrf import CRF

from daguan.data.tags import OUTSIDE, TagScheme
from daguan.models.heads.softmax import SoftmaxHead
from daguan.models.settings import ModelSettings

FORBIDDEN = -1e4  # exp of it is 0: what is forbidden has no probability, no gradient, and keeps this score in training


class PytorchCrfHead(SoftmaxHead):
    """The scores of a softmax head as the emissions of `torchcrf.CRF`, which requires that every row's first token is
    real; that always holds, as rows are left-aligned and no line is empty."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__(width, scheme, settings)
        self.crf = CRF(len(scheme), batch_first=True)
        tables = (
            (self.crf.start_transitions, scheme.may_start),
            (self.crf.transitions, scheme.allowed),
            (self.crf.end_transitions, scheme.may_end),
        )
        with torch.no_grad():
            for scores, legal in tables:
                scores[torch.from_numpy(~legal)] = FORBIDDEN

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        log_likelihood: Tensor = self.crf(scores, tags, mask, reduction="sum")
        return -log_likelihood

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Returns P(tag) = one_hot(tags) − ∂ log-likelihood(tags) / ∂ emissions, whatever the tags; here all are O."""
        tags = torch.full(mask.shape, OUTSIDE, device=mask.device)
        with torch.enable_grad():
            emissions = scores.detach().double().requires_grad_()
            (gradient,) = torch.autograd.grad(self.crf(emissions, tags, mask), emissions)
        marginals: Tensor = (one_hot(tags, scores.shape[2]) - gradient).clamp(min=0) * mask.unsqueeze(2)
        return marginals.float()
