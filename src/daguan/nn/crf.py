"""A linear-chain CRF on pytorch-crf, with forbidden transitions, marginals and a vectorised Viterbi."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torchcrf import CRF

from daguan.text.tags import OUTSIDE, TagScheme

FORBIDDEN = -1e4  # exp(-1e4) is 0 in float32, and sums of a few stay finite


class _Forbid(nn.Module):
    """Fixes the entries that may not occur at FORBIDDEN; they receive no gradient and cannot decay."""

    allowed: Tensor

    def __init__(self, allowed: NDArray[np.bool_]) -> None:
        super().__init__()
        self.register_buffer("allowed", torch.from_numpy(allowed), persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        return scores.masked_fill(~self.allowed, FORBIDDEN)


class ConstrainedCrf(nn.Module):
    """CRF over a tag scheme's K tags that gives illegal sequences no mass (Lafferty et al. 2001)."""

    def __init__(self, scheme: TagScheme) -> None:
        super().__init__()
        self.crf = CRF(len(scheme), batch_first=True)
        for name, allowed in (
            ("transitions", scheme.allowed),
            ("start_transitions", scheme.may_start),
            ("end_transitions", scheme.may_end),
        ):
            parametrize.register_parametrization(self.crf, name, _Forbid(allowed))

    def loss(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Negative log-likelihood summed over sentences. emissions (B,T,K), tags (B,T), mask (B,T) → ()."""
        with parametrize.cached(), torch.autocast(emissions.device.type, enabled=False):
            likelihood: Tensor = self.crf(emissions.float(), tags, mask, reduction="sum")
        return -likelihood

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """P(tag at each position). emissions (B,T,K), mask (B,T) → (B,T,K) float32, 0 at padding.

        one_hot(y) − ∂ log P(y) / ∂ emissions for any legal y, here all outside.
        """
        outside = torch.full(mask.shape, OUTSIDE, device=mask.device)
        with torch.enable_grad():
            leaf = emissions.detach().float().requires_grad_()
            (gradient,) = torch.autograd.grad(self.loss(leaf, outside, mask), leaf)  # = marginals − one_hot
        gradient[..., OUTSIDE] += mask
        return gradient.clamp_(0, 1)


def viterbi(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """The highest-scoring tag sequences, all sentences of the batch at once.

    emissions (B,T,K), transitions (K,K), start (K,), end (K,), mask (B,T) left-aligned → tags (B,T), 0 at padding.
    """
    length = emissions.shape[1]
    lengths = mask.sum(1)
    best = start + emissions[:, 0]  # (B,K) score of the best path that ends in each tag
    back = []
    for t in range(1, length):
        score, pointer = (best.unsqueeze(2) + transitions).max(1)  # (B,K)
        inside = mask[:, t].unsqueeze(1)
        best = torch.where(inside, score + emissions[:, t], best)
        back.append(pointer)
    tag = (best + end).argmax(1)
    path = torch.zeros(mask.shape, dtype=torch.long, device=emissions.device)
    for t in range(length - 1, -1, -1):
        path[:, t] = torch.where(mask[:, t], tag, 0)
        if t > 0:  # step back only where position t belongs to the sentence
            earlier = back[t - 1].gather(1, tag.unsqueeze(1)).squeeze(1)
            tag = torch.where(t < lengths, earlier, tag)
    return path


def constrained_decode(scores: Tensor, scheme: TagScheme, mask: Tensor) -> Tensor:
    """The legal sequences with the highest sum of scores, e.g. log marginals. scores (B,T,K), mask (B,T) → (B,T)."""

    def penalty(allowed: NDArray[np.bool_]) -> Tensor:
        return torch.zeros(allowed.shape, device=scores.device).masked_fill(
            ~torch.from_numpy(allowed).to(scores.device), FORBIDDEN
        )

    return viterbi(scores, penalty(scheme.allowed), penalty(scheme.may_start), penalty(scheme.may_end), mask)
