"""Beam search over many rows at once.

B rows, W prefixes of each, K symbols.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEVER = -1e30  # the score of a missing prefix; finite, because inf − inf is nan


class Beams:
    """The most probable prefixes of each row, all of the same length; `grow` extends them by a symbol, up to `length`.

    Attributes:
        scores: (B,W) log-probabilities, the highest first; NEVER or less where there are fewer prefixes.
        written: (B,W,length) their symbols.
        slots: (B,W,length) the slot, among the W of each step, that the prefix came through.
    """

    def __init__(self, batch: int, width: int, length: int, device: torch.device) -> None:
        self.width, self.length, self.step = width, length, 0
        self.scores = torch.full((batch, width), NEVER, device=device)
        self.scores[:, 0] = 0
        self.written = torch.zeros((batch, width, length), dtype=torch.long, device=device)
        self.slots = torch.zeros_like(self.written)
        self._own = torch.arange(width, device=device)

    def ancestry(self) -> Tensor:
        """Returns (B,W,S,W): whether a slot of one of the first S = step + 1 steps is an ancestor of the prefix, or
        itself."""
        self.slots[:, :, self.step] = self._own
        return self.slots[:, :, : self.step + 1].unsqueeze(3) == self._own

    def grow(self, logs: Tensor) -> None:
        """Extends the prefixes by log P(next symbol), logs (B,W,K)."""
        self.slots[:, :, self.step] = self._own
        self.scores, best = (self.scores.unsqueeze(2) + logs).flatten(1).topk(self.width, 1)
        parents = (best // logs.shape[2]).unsqueeze(2).expand_as(self.written)
        self.slots, self.written = self.slots.gather(1, parents), self.written.gather(1, parents)
        self.written[:, :, self.step] = best % logs.shape[2]
        self.step += 1
