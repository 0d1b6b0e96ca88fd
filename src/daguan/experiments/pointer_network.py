"""The pointer network of Vinyals et al. 2015 (arXiv 1506.03134): answers are sequences of the input's own places.

B instances of N points, S steps. A choice is 0 for END and i + 1 for point i, with or without padding. After END all
choices are 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from daguan.nn.pointer_attention import PointerAttention

END = 0
INPUT_BOUND, ATTENTION_BOUND = 1.0, 0.6
State = tuple[Tensor, Tensor]  # an LSTM's, (1,B,hidden) each


class Memory(NamedTuple):
    """The decoder's view of the input.

    Attributes:
        coordinates: of each choice (B,N+1,2); the start symbol is at END's place.
        projected: the attention's part of each choice (B,N+1,H).
        mask: which choices exist (B,N+1).
    """

    coordinates: Tensor
    projected: Tensor
    mask: Tensor


class ChoosingNetwork(nn.Module, ABC):
    """A network that reads points and chooses step by step."""

    @abstractmethod
    def read(self, points: Tensor, mask: Tensor) -> tuple[Any, State]:
        """Returns the decoder's memory and first state for points (B,N,2) and mask (B,N).

        The memory is a named tuple of tensors (B,…), of which `mask` (B,N+1) says which choices exist.
        """

    @abstractmethod
    def decode(self, memory: Any, before: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns log-probabilities (B,S,N+1) after each of the choices `before` (B,S), END for the start; and the
        state."""

    def forward(self, points: Tensor, mask: Tensor, choices: Tensor) -> Tensor:
        """Returns log-probabilities (B,S,N+1) of each choice, given those before it (teacher forcing).

        points (B,N,2), mask (B,N) left-aligned, choices (B,S).
        """
        memory, state = self.read(points, mask)
        before = nn.functional.pad(choices[:, :-1], (1, 0), value=END)
        logs, _ = self.decode(memory, before, state)
        return logs


class PointerNetwork(ChoosingNetwork):
    """Reads points by an LSTM and points at them by another one, step by step.

    The second LSTM has its own weights and starts from the first one's last state and points; the coordinates of its
    last choice are its next input (§2.3). The start symbol is a learnt input, END a learnt key.

    Weights of the coordinates and the attention start larger than torch's (and than the paper's ±0.08), so that points
    are distinguished from the start; otherwise the loss rests for hundreds of updates before the order is learnt.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.LSTM(2, hidden, batch_first=True)
        self.decoder = nn.LSTM(2, hidden, batch_first=True)
        self.attention = PointerAttention(hidden, hidden, hidden)
        self.start = nn.Parameter(torch.empty(2).uniform_(-1, 1))
        self.end = nn.Parameter(torch.empty(hidden).uniform_(-1, 1))
        for lstm in (self.encoder, self.decoder):
            nn.init.uniform_(lstm.get_parameter("weight_ih_l0"), -INPUT_BOUND, INPUT_BOUND)
        for weight in self.attention.parameters():
            nn.init.uniform_(weight, -ATTENTION_BOUND, ATTENTION_BOUND)

    def read(self, points: Tensor, mask: Tensor) -> tuple[Memory, State]:
        read, state = self._encode(points, mask)
        keys = torch.cat([self.end.expand(len(points), 1, -1), read], dim=1)
        coordinates = torch.cat([self.start.expand(len(points), 1, 2), points], dim=1)
        there = nn.functional.pad(mask, (1, 0), value=True)
        return Memory(coordinates, self.attention.of_keys(keys), there), state

    def decode(self, memory: Memory, before: Tensor, state: State) -> tuple[Tensor, State]:
        inputs = memory.coordinates.gather(1, before.unsqueeze(2).expand(-1, -1, 2))
        queries, state = self.decoder(inputs, state)
        return self.attention.point(queries, memory.projected, memory.mask).log_softmax(2), state

    def _encode(self, points: Tensor, mask: Tensor) -> tuple[Tensor, State]:
        """Returns (B,N,H) and the state after each instance's last point. Without padding nothing is packed: a tenth
        faster."""
        if mask.all():
            read, state = self.encoder(points)
            return read, state
        lengths = mask.sum(1).cpu()
        packed = pack_padded_sequence(points, lengths, batch_first=True, enforce_sorted=False)
        read, state = self.encoder(packed)
        return pad_packed_sequence(read, batch_first=True, total_length=points.shape[1])[0], state


def pointing_loss(logs: Tensor, choices: Tensor) -> Tensor:
    """Returns the negative log-likelihood (B,), nats a choice, of each row's choices (B,S).

    It counts the choices up to and including the first END. logs (B,S,N+1).
    """
    chosen, steps = logs.gather(2, choices.unsqueeze(2)).squeeze(2), counted(choices)
    return -chosen.where(steps, 0).sum(1) / steps.sum(1)


def counted(choices: Tensor) -> Tensor:
    """Returns (B,S): the steps up to and including the first END."""
    return nn.functional.pad(choices[:, :-1] != END, (1, 0), value=True)
