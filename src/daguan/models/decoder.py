"""A decoder of the modern encoder's blocks, over an encoder's states: what MASS pretrains and `seq2seq` writes with.

Causal self-attention, then attention to the encoder's states, then a gated feed-forward; all of the encoder's width.
Places are those of the encoder's states: a step that was fed the token of place p stands at p.

B rows, T states, M steps at a time, H width, heads of width D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.models.encoders.modern import (
    FORBIDDEN,
    PEAK,
    Attention,
    DistanceBias,
    FeedForward,
    ModernConfig,
    Norm,
    OutputLinear,
    attend,
    gated_width,
    initialise,
    turns_of,
)
from daguan.nn.beams import Beams
from daguan.nn.fused import rotate
from daguan.nn.muon import StackedLinear

HEAD_SIZE = 64
REACH = 128  # distances with a bias of their own; all that are farther share the last
PREFIX = "decoder."  # of its tensors in a checkpoint


def decoder_config(width: int) -> ModernConfig:
    """Of blocks of that width: heads of about HEAD_SIZE, four widths of feed-forward."""
    heads = next(count for count in range(max(1, width // HEAD_SIZE), 0, -1) if width % (2 * count) == 0)
    return ModernConfig(
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=gated_width(4 * width),
        max_position_embeddings=REACH,
    )


class FarBias(DistanceBias):
    """A learned bias for each distance, of any length of text."""

    def between(self, low: int, high: int) -> Tensor:
        """(heads, 1 + high − low), of the distances low … high."""
        most = self.positions - 1
        return self.weight[:, torch.arange(low, high + 1, device=self.weight.device).clamp(-most, most) + most]

    def forward(self, length: int) -> Tensor:
        return self.between(1 - length, length - 1).unfold(1, length, 1).flip(1)


class PastBias(FarBias):
    """At first the heads read the steps −1, −2, −3, …"""

    def initial(self) -> Tensor:
        start = torch.zeros_like(self.weight)
        for head, row in enumerate(start):
            row[self.positions - 2 - head] = PEAK
        return start


class Past(Protocol):
    """What a layer's steps see of the steps before them."""

    def extend(self, key: Tensor, value: Tensor, bias: FarBias) -> tuple[Tensor, Tensor, Tensor]:
        """key and value (B,heads,M,D) of steps → those of all S steps they may see (B,heads,S,D), and what is added to
        their scores (…,M,S)."""


class Whole:
    """All M steps at once: each sees itself and the earlier ones."""

    def extend(self, key: Tensor, value: Tensor, bias: FarBias) -> tuple[Tensor, Tensor, Tensor]:
        length = key.shape[2]
        later = torch.ones(length, length, dtype=torch.bool, device=key.device).triu(1)
        return key, value, bias(length).masked_fill(later, FORBIDDEN)


class Cache:
    """A step at a time, of the W prefixes of each row: keys and values lie where they were written, and a prefix sees
    those of its own past. (Sorting them anew at every step would copy them all.)"""

    def __init__(self, beams: Beams) -> None:
        self.beams = beams
        self.keys = self.values = torch.empty(0)

    def extend(self, key: Tensor, value: Tensor, bias: FarBias) -> tuple[Tensor, Tensor, Tensor]:
        step, (batch, heads, width, size) = self.beams.step, key.shape
        if step == 0:
            shape = (batch, heads, self.beams.length, width, size)
            self.keys, self.values = key.new_empty(shape), value.new_empty(shape)
        self.keys[:, :, step], self.values[:, :, step] = key, value
        near = bias.between(-step, 0).repeat_interleave(width, dim=1)
        own = self.beams.ancestry().flatten(2).unsqueeze(1)  # (B,1,W,S)
        seen = near.unsqueeze(1).masked_fill(~own, FORBIDDEN)
        return self.keys[:, :, : step + 1].flatten(2, 3), self.values[:, :, : step + 1].flatten(2, 3), seen


class CausalAttention(Attention):
    """To the steps before."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__(config)
        self.bias: FarBias = PastBias(self.heads, REACH)

    def forward(self, features: Tensor, turns: Tensor, past: Past) -> Tensor:  # type: ignore[override]
        """features (B,M,H), turns (2,B,M,1,D/2) → (B,M,H)."""
        query, key, value = self.ask(features, turns)
        return self.mix(query, *past.extend(key, value, self.bias))


@dataclass(frozen=True)
class Memory:
    """What one layer reads of the encoder's states: key and value (B,heads,T,D), bias (heads,T,T), and which may not be
    seen, blocked (B,1,1,T)."""

    key: Tensor
    value: Tensor
    bias: Tensor
    blocked: Tensor


class CrossAttention(nn.Module):
    """To the encoder's states."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.read = nn.Linear(width, width, bias=False)
        self.recall = StackedLinear(width, width, count=2)
        self.query_norm, self.key_norm = Norm(width // self.heads), Norm(width // self.heads)
        self.bias = FarBias(self.heads, REACH)
        self.output = OutputLinear(width, width)

    def remember(self, states: Tensor, turns: Tensor, blocked: Tensor) -> Memory:
        """states (B,T,H), turns (2,T,1,D/2), blocked (B,1,1,T)."""
        key, value = self.recall(states).unflatten(2, (2, self.heads, -1)).unbind(2)
        key = rotate(self.key_norm(key), turns)
        return Memory(key.transpose(1, 2), value.transpose(1, 2), self.bias(states.shape[1]), blocked)

    def forward(self, features: Tensor, turns: Tensor, places: Tensor, memory: Memory) -> Tensor:
        """features (B,M,H) at places (B,M), turns (2,B,M,1,D/2) → (B,M,H)."""
        query = rotate(self.query_norm(self.read(features).unflatten(2, (self.heads, -1))), turns).transpose(1, 2)
        bias = memory.bias.index_select(1, places.flatten()).view(self.heads, *places.shape, -1).transpose(0, 1)
        mixed = attend(query, memory.key, memory.value, bias.masked_fill(memory.blocked, FORBIDDEN))
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output


class DecoderLayer(nn.Module):
    """Adds to x of norm(x): attention to the past, then to the states, then feed-forward."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.past_norm, self.cross_norm, self.feed_forward_norm = (Norm(config.hidden_size) for _ in range(3))
        self.past, self.cross, self.feed_forward = CausalAttention(config), CrossAttention(config), FeedForward(config)

    def forward(self, hidden: Tensor, turns: Tensor, places: Tensor, past: Past, memory: Memory) -> Tensor:
        hidden = hidden + self.past(self.past_norm(hidden), turns, past)
        hidden = hidden + self.cross(self.cross_norm(hidden), turns, places, memory)
        result: Tensor = hidden + self.feed_forward(self.feed_forward_norm(hidden))
        return result


class Decoder(nn.Module):
    """Sublayers start at zero: a decoder that has learnt nothing, and layers put on one that has, pass on what they are
    fed."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.config = decoder_config(width)
        self.layers = nn.ModuleList(DecoderLayer(self.config) for _ in range(layers))
        self.final_norm = Norm(width)
        self.apply(initialise)

    def forward(self, fed: Tensor, places: Tensor, states: Tensor, blocked: Tensor) -> Tensor:
        """fed (B,M,H) at places (B,M), 0 to T−1; states (B,T,H), blocked (B,1,1,T) those not to be seen → (B,M,H)."""
        return self.run(fed, places, self.remember(states, blocked), [Whole()] * len(self.layers))

    def remember(self, states: Tensor, blocked: Tensor) -> list[Memory]:
        """What each layer reads of the states (B,T,H)."""
        turns = turns_of(torch.arange(states.shape[1], device=states.device), self.config)
        return [layer.cross.remember(states, turns, blocked) for layer in self.layers]  # type: ignore[operator, union-attr]

    def run(self, fed: Tensor, places: Tensor, memories: Sequence[Memory], pasts: Sequence[Past]) -> Tensor:
        """As `forward`, of what the layers have read."""
        turns, hidden = turns_of(places, self.config), fed
        for layer, past, memory in zip(self.layers, pasts, memories, strict=True):
            hidden = layer(hidden, turns, places, past, memory)
        result: Tensor = self.final_norm(hidden)
        return result

    def start_from(self, folder: Path) -> None:
        """Take the weights of a checkpoint's decoder, of as many layers as both have; nothing where there is none.

        Raises:
            CheckpointError: damaged, or of another width.
        """
        weights = {name: weight for name, weight in read_decoder(folder).items() if name in self.state_dict()}
        try:
            self.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            message = " ".join(str(error).split())
            raise CheckpointError(
                f"{folder}: expected a decoder of width {self.config.hidden_size}, got: {message}"
            ) from None


def read_decoder(folder: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's decoder; none if it has none. Raises CheckpointError: the file is damaged."""
    path = folder / "model.safetensors"
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(PREFIX)]  # noqa: SIM118  (no iterator)
            return {name.removeprefix(PREFIX): file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: expected whole weights, got: {error}") from None
