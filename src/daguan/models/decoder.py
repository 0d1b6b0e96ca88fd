"""A decoder built of the modern encoder's blocks, over an encoder's states; MASS pretrains it, and `seq2seq` uses it.

A layer has causal self-attention, attention to the encoder's states and a gated feed-forward, of the encoder's width.
Positions are those of the encoder's states: a step whose input is the token at place p has position p.

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
REACH = 128  # distances with a bias of their own; all larger ones share the last bias
PREFIX = "decoder."  # of the names of its tensors in a checkpoint


def decoder_config(width: int) -> ModernConfig:
    """Return a configuration of blocks of that width: heads of about HEAD_SIZE, a feed-forward of four widths."""
    heads = next(count for count in range(max(1, width // HEAD_SIZE), 0, -1) if width % (2 * count) == 0)
    return ModernConfig(
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=gated_width(4 * width),
        max_position_embeddings=REACH,
    )


class FarBias(DistanceBias):
    """A learned bias for each distance, for texts of any length."""

    def between(self, low: int, high: int) -> Tensor:
        """Return the biases (heads, 1 + high − low) of the distances low … high."""
        most = self.positions - 1
        return self.weight[:, torch.arange(low, high + 1, device=self.weight.device).clamp(-most, most) + most]

    def forward(self, length: int) -> Tensor:
        return self.between(1 - length, length - 1).unfold(1, length, 1).flip(1)


class PastBias(FarBias):
    """A bias under which the heads initially attend to the steps −1, −2, −3, …"""

    def initial(self) -> Tensor:
        start = torch.zeros_like(self.weight)
        for head, row in enumerate(start):
            row[self.positions - 2 - head] = PEAK
        return start


class Past(Protocol):
    """The earlier steps to which a layer's steps attend."""

    def extend(self, key: Tensor, value: Tensor, bias: FarBias) -> tuple[Tensor, Tensor, Tensor]:
        """Return keys and values (B,heads,S,D) of all steps to attend to, and the bias (…,M,S) of the attention scores.

        key, value: those of the current steps, (B,heads,M,D).
        """


class Whole:
    """All M steps at once: each attends to itself and to earlier ones."""

    def extend(self, key: Tensor, value: Tensor, bias: FarBias) -> tuple[Tensor, Tensor, Tensor]:
        length = key.shape[2]
        later = torch.ones(length, length, dtype=torch.bool, device=key.device).triu(1)
        return key, value, bias(length).masked_fill(later, FORBIDDEN)


class Cache:
    """One step at a time for the W prefixes of each row. Keys and values stay where they were written, and a prefix
    attends to those of its own past: sorting them at every step would copy them all."""

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
    """Attention to earlier steps."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__(config)
        self.bias: FarBias = PastBias(self.heads, REACH)

    def forward(self, features: Tensor, turns: Tensor, past: Past) -> Tensor:  # type: ignore[override]
        """Return (B,M,H) from features (B,M,H) and turns (2,B,M,1,D/2)."""
        query, key, value = self.ask(features, turns)
        return self.mix(query, *past.extend(key, value, self.bias))


@dataclass(frozen=True)
class Memory:
    """One layer's projection of the encoder's states.

    Attributes:
        key, value: (B,heads,T,D).
        bias: (heads,T,T).
        blocked: the states that are hidden from the decoder, (B,1,1,T).
    """

    key: Tensor
    value: Tensor
    bias: Tensor
    blocked: Tensor


class CrossAttention(nn.Module):
    """Attention to the encoder's states."""

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
        """Return the projection of states (B,T,H); turns (2,T,1,D/2), blocked (B,1,1,T)."""
        key, value = self.recall(states).unflatten(2, (2, self.heads, -1)).unbind(2)
        key = rotate(self.key_norm(key), turns)
        return Memory(key.transpose(1, 2), value.transpose(1, 2), self.bias(states.shape[1]), blocked)

    def forward(self, features: Tensor, turns: Tensor, places: Tensor, memory: Memory) -> Tensor:
        """Return (B,M,H) from features (B,M,H) at places (B,M); turns (2,B,M,1,D/2)."""
        query = rotate(self.query_norm(self.read(features).unflatten(2, (self.heads, -1))), turns).transpose(1, 2)
        bias = memory.bias.index_select(1, places.flatten()).view(self.heads, *places.shape, -1).transpose(0, 1)
        mixed = attend(query, memory.key, memory.value, bias.masked_fill(memory.blocked, FORBIDDEN))
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output


class DecoderLayer(nn.Module):
    """Adds f(norm(x)) to x for three f: attention to earlier steps, attention to the states, feed-forward."""

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
    """A stack of layers whose sublayers start at zero, so that an untrained layer returns its input."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.config = decoder_config(width)
        self.layers = nn.ModuleList(DecoderLayer(self.config) for _ in range(layers))
        self.final_norm = Norm(width)
        self.apply(initialise)

    def forward(self, fed: Tensor, places: Tensor, states: Tensor, blocked: Tensor) -> Tensor:
        """Return (B,M,H) from inputs `fed` (B,M,H) at places (B,M), states (B,T,H) and hidden states (B,1,1,T)."""
        return self.run(fed, places, self.remember(states, blocked), [Whole()] * len(self.layers))

    def remember(self, states: Tensor, blocked: Tensor) -> list[Memory]:
        """Return each layer's projection of the states (B,T,H)."""
        turns = turns_of(torch.arange(states.shape[1], device=states.device), self.config)
        return [layer.cross.remember(states, turns, blocked) for layer in self.layers]  # type: ignore[operator, union-attr]

    def run(self, fed: Tensor, places: Tensor, memories: Sequence[Memory], pasts: Sequence[Past]) -> Tensor:
        """Return (B,M,H) as `forward` does, from the layers' projections and the steps before."""
        turns, hidden = turns_of(places, self.config), fed
        for layer, past, memory in zip(self.layers, pasts, memories, strict=True):
            hidden = layer(hidden, turns, places, past, memory)
        result: Tensor = self.final_norm(hidden)
        return result

    def load_pretrained(self, folder: Path) -> None:
        """Load the weights of a checkpoint's decoder, if it has one, for the layers that both have.

        Raises:
            CheckpointError: the checkpoint is damaged, or its decoder has another width.
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
    """Return the tensors of a checkpoint's decoder, if it has one. Raises CheckpointError: the file is damaged."""
    path = folder / "model.safetensors"
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(PREFIX)]  # noqa: SIM118  (no iterator)
            return {name.removeprefix(PREFIX): file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: expected whole weights, got: {error}") from None
