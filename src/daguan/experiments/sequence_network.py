"""The baselines of Vinyals et al. 2015 (arXiv 1506.03134, §2.1 and §2.2): outputs are numbers of points, for which a
network has a fixed number of weights, so that it answers for one size of the input alone.

Letters and choices as in `pointer_network`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from daguan.experiments.pointer_network import INPUT_BOUND, ChoosingNetwork, State
from daguan.nn.pointer_attention import FORBIDDEN, PointerAttention


class Memory(NamedTuple):
    """What the decoder may look at.

    Attributes:
        states: the encoder's (B,N,H).
        projected: the attention's part of each state (B,N,H).
        mask: which choices exist (B,N+1).
    """

    states: Tensor
    projected: Tensor
    mask: Tensor


class SequenceNetwork(ChoosingNetwork):
    """An LSTM that reads N points and another one that writes their numbers (Sutskever et al. 2014); it reads the
    number before.

    With `attends`, the output is computed from the decoder's state beside the mean of the encoder's states, weighted
    by additive attention (Bahdanau et al. 2015). Weights of the coordinates start as large as the pointer network's.
    """

    def __init__(self, hidden: int, points: int, attends: bool) -> None:
        super().__init__()
        self.encoder = nn.LSTM(2, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.numbers = nn.Embedding(points + 1, hidden)
        self.attention = PointerAttention(hidden, hidden, hidden) if attends else None
        self.output = nn.Linear(2 * hidden if attends else hidden, points + 1)
        nn.init.uniform_(self.encoder.get_parameter("weight_ih_l0"), -INPUT_BOUND, INPUT_BOUND)

    def read(self, points: Tensor, mask: Tensor) -> tuple[Memory, State]:
        """Returns the memory and the encoder's last state; points (B,N,2) without padding."""
        states, state = self.encoder(points)
        projected = states if self.attention is None else self.attention.of_keys(states)
        return Memory(states, projected, nn.functional.pad(mask, (1, 0), value=True)), state

    def decode(self, memory: Memory, before: Tensor, state: State) -> tuple[Tensor, State]:
        written, state = self.decoder(self.numbers(before), state)
        if self.attention is not None:
            scores = self.attention.point(written, memory.projected, memory.mask[:, 1:])
            written = torch.cat([written, scores.softmax(2) @ memory.states], dim=2)
        logits = self.output(written).masked_fill(~memory.mask.unsqueeze(1), FORBIDDEN)
        return logits.log_softmax(2), state
