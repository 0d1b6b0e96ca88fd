"""Attention by relative position over a segment and the memory of earlier ones (Transformer-XL, Dai et al. 2019, arXiv
1901.02860 §3).

Shapes start with heads, then rows: the position term of a head is then one matrix product for all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from daguan.nn.muon import StackedLinear

FORBIDDEN = -1e4  # exp of it is 0, and half precision holds it
LONGEST_PERIOD = 10_000  # of the sinusoids: frequencies fall from 1 to its inverse


@dataclass(frozen=True)
class Memory:
    """The inputs of N layers in earlier segments; gradients do not flow into them.

    Attributes:
        states: (N,B,M,H) the latest last.
        kept: (B,) the last places of a row that hold its own text; the others are masked.
    """

    states: Tensor
    kept: Tensor

    @classmethod
    def empty(cls, layers: int, rows: int, length: int, width: int, device: torch.device) -> Memory:
        kept = torch.zeros(rows, dtype=torch.int64, device=device)
        return cls(torch.zeros(layers, rows, length, width, device=device), kept)

    @property
    def length(self) -> int:
        """Returns M."""
        return self.states.shape[2]

    def cleared(self, rows: Tensor) -> Memory:
        """Returns the memory without the text of the rows that `rows` (B,) marks: a new text begins there."""
        return replace(self, kept=self.kept.masked_fill(rows, 0))

    def of(self, rows: Tensor) -> Memory:
        """Returns the memory of the rows with these numbers."""
        return Memory(self.states[:, rows], self.kept[rows])

    def put(self, rows: Tensor, memory: Memory) -> None:
        """Overwrites the memory of these rows."""
        self.states[:, rows] = memory.states
        self.kept[rows] = memory.kept

    def after(self, inputs: Sequence[Tensor]) -> Memory:
        """Returns the memory after a segment with the inputs (B,S,H) of each layer; the oldest places are dropped."""
        read = inputs[0].shape[1]
        states = torch.cat([self.states, torch.stack([one.detach() for one in inputs])], dim=2)[:, :, read:]
        return Memory(states, (self.kept + read).clamp(max=self.length))


def sinusoids(distances: Tensor, width: int) -> Tensor:
    """distances (K,) → (K,width): all sines, then all cosines, as in the authors' code."""
    halves = torch.arange(0, width, 2, device=distances.device) / width
    angles = distances.unsqueeze(1) * (1 / LONGEST_PERIOD**halves)
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


def falling_distances(segment: int, memory: int, clamp: int, device: torch.device) -> Tensor:
    """Returns M+S−1 … 0, from the last place of a segment to each place; limited to `clamp` unless that is 0."""
    distances = torch.arange(memory + segment - 1, -1, -1, device=device, dtype=torch.float32)
    return distances.clamp(max=clamp) if clamp else distances


def blocked_positions(segment: int, memory: int, kept: Tensor | None, window: int, device: torch.device) -> Tensor:
    """Returns (S,K), or (B,S,K) with `kept` (B,): which of the K = M+S places a place of the segment must not see.

    These are later ones, those at a distance of `window` or more (0: no window), and memory without the row's text.
    """
    places = torch.arange(memory + segment, device=device)
    distance = (memory + torch.arange(segment, device=device)).unsqueeze(1) - places
    blocked = (distance < 0) | (distance >= window) if window else distance < 0
    return blocked if kept is None else blocked | (places < memory - kept.unsqueeze(1)).unsqueeze(1)


def rel_shift(scores: Tensor) -> Tensor:
    """Shifts scores (…,S,K) by falling distance to scores by place: a view of a padded copy (appendix B).

    Element (i, j) of the result is (i, j + S−1−i) for j up to K−S+i; elements beyond are garbage that has to be masked.
    """
    rows, columns = scores.shape[-2:]
    padded = pad(scores, (1, 0)).view(*scores.shape[:-2], columns + 1, rows)
    return padded[..., 1:, :].view_as(scores)


class RelativeAttention(nn.Module):
    """Scores places i, j by ((q_i + u)·k_j + (q_i + v)·W r_{i−j}) / √D, with u, v and W of the layer.

    The authors' PyTorch code shares u and v among layers, their TensorFlow code for the larger tasks does not. Queries
    and keys are normalised (Henry et al. 2020, arXiv 2010.04245), as in the modern encoder.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, size = heads, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.read = StackedLinear(width, width, count=2)
        self.position = nn.Linear(width, width, bias=False)
        self.query_norm, self.key_norm = (nn.LayerNorm(size, bias=False) for _ in range(2))
        self.content_bias, self.position_bias = (nn.Parameter(torch.zeros(heads, 1, 1, size)) for _ in range(2))
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, features: Tensor, context: Tensor, positions: Tensor, blocked: Tensor) -> Tensor:
        """Returns (B,S,H).

        Args:
            features: (B,S,H)
            context: (B,K,H) that ends with the features.
            positions: (K,H) sinusoids of falling distances.
            blocked: from `blocked_positions`.
        """
        query = self.query_norm(self._by_heads(self.query(features)))  # (heads,B,S,D)
        keys, values = self.read(context).chunk(2, dim=2)
        key, value = self.key_norm(self._by_heads(keys)), self._by_heads(values)  # (heads,B,K,D)
        by_distance = self._by_heads(self.position(positions).unsqueeze(0)).squeeze(1)  # (heads,K,D)
        by_position = (query + self.position_bias).flatten(1, 2) @ by_distance.mT
        shifted = rel_shift(by_position.view(*query.shape[:3], -1))
        mixed = attend(query + self.content_bias, key, value, shifted, blocked)
        output: Tensor = self.output(mixed.permute(1, 2, 0, 3).flatten(2))
        return output

    def _by_heads(self, features: Tensor) -> Tensor:
        """(B,T,H) → (heads,B,T,D)."""
        return features.view(*features.shape[:2], self.heads, -1).permute(2, 0, 1, 3)


def attend(query: Tensor, key: Tensor, value: Tensor, added: Tensor, blocked: Tensor) -> Tensor:
    """Returns softmax((Q·Kᵀ + added)/√D)·V of (heads,B,…,D); added (heads,B,S,K).

    A CPU uses plain products, whose backward pass is faster there.
    """
    scale = query.shape[3] ** -0.5
    if query.device.type != "cpu":
        bias = (scale * added).masked_fill(blocked, FORBIDDEN)
        fused: Tensor = scaled_dot_product_attention(query, key, value.to(query.dtype), bias.to(query.dtype))
        return fused
    products = torch.baddbmm(added.flatten(0, 1), query.flatten(0, 1), key.flatten(0, 1).mT, beta=scale, alpha=scale)
    scores = products.view_as(added).masked_fill(blocked, FORBIDDEN)
    mixed: Tensor = scores.softmax(3) @ value
    return mixed
