"""Additive attention whose scores are the output: they point at inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FORBIDDEN = -1e30  # its probability is 0; finite, so that derivatives are not nan where all is forbidden


class PointerAttention(nn.Module):
    """u = vᵀ tanh(W1 e + W2 d) for keys e and queries d (Vinyals et al. 2015, arXiv 1506.03134, §2.3).

    Batches of B, S queries, T keys, `hidden` units. The keys are not averaged.
    """

    def __init__(self, query_size: int, key_size: int, hidden: int) -> None:
        super().__init__()
        self.of_keys = nn.Linear(key_size, hidden, bias=False)
        self.of_queries = nn.Linear(query_size, hidden, bias=False)
        self.scores = nn.Linear(hidden, 1, bias=False)

    def point(self, queries: Tensor, projected: Tensor, mask: Tensor) -> Tensor:
        """Returns scores (B,S,T), FORBIDDEN outside the mask.

        Args:
            queries: (B,S,Q)
            projected: (B,T,hidden) the keys' part W1 e, which is constant in decoding.
            mask: (B,T) or (B,S,T), true where one may point.
        """
        units = self.of_queries(queries).unsqueeze(2) + projected.unsqueeze(1)
        scores: Tensor = self.scores(torch.tanh_(units)).squeeze(3)
        return scores.masked_fill(~(mask if mask.dim() == 3 else mask.unsqueeze(1)), FORBIDDEN)
