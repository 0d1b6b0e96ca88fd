"""Dropouts that are not in torch."""

import torch
from torch import Tensor, nn


class TokenDropout(nn.Module):
    """In training, replaces whole tokens by `replacement` with probability p (word dropout, Iyyer et al. 2015).

    The replacement is [MASK], which the pretrained encoder knows to read as "some token".
    """

    def __init__(self, p: float, replacement: int) -> None:
        super().__init__()
        self.p = p
        self.replacement = replacement

    def forward(self, token_ids: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return token_ids
        return token_ids.masked_fill(torch.rand(token_ids.shape, device=token_ids.device) < self.p, self.replacement)
