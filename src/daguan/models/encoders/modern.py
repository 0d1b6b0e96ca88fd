"""A modern encoder for little compute, in Hugging Face layout; importing this module registers it with AutoModel.

Pre-norm residual blocks (Xiong et al. 2020, arXiv 2002.04745) without biases; rotary positions (Su et al. 2021, arXiv
2104.09864) and a learned bias for each distance (Raffel et al. 2020, arXiv 1910.10683) that starts as an n-gram reader;
normalised queries and keys (Henry et al. 2020, arXiv 2010.04245); gated feed-forward (Shazeer 2020, arXiv 2002.05202);
sublayers that start at zero (Bachlechner et al. 2020, arXiv 2003.04887).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

from daguan.data.vocabulary import PAD
from daguan.models.encoders.architecture import Architecture, layers_and_norm
from daguan.models.encoders.bert import neighbour_offset
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.dropouts import ByteDropout, set_byte_dropout
from daguan.nn.fused import rotate, swiglu
from daguan.nn.muon import StackedLinear

EPSILON = 1e-6
FORBIDDEN = -1e4  # exp of it is 0, and half precision holds it
PEAK = 5.0  # the initial bias of the neighbour that a head reads


class ModernConfig(PreTrainedConfig):
    """The configuration, by Hugging Face's names; intermediate_size is the width of the gated layer."""

    model_type = "daguan-modern"
    vocab_size: int = 30000
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 688
    max_position_embeddings: int = 128
    initializer_range: float = 0.02
    rope_theta: float = 1000.0
    pad_token_id: int = 0
    tie_word_embeddings: bool = True


class Norm(nn.Module):
    """Layer normalisation with a gain and no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:
        return layer_norm(features, self.weight.shape, self.weight, None, EPSILON)


class OutputLinear(nn.Linear):
    """The last matrix of a sublayer, which starts at zero."""

    def __init__(self, size: int, out: int) -> None:
        super().__init__(size, out, bias=False)


class DistanceBias(nn.Module):
    """A learned bias of each head for each distance, added to attention scores; weight (heads, 2M−1), M positions.

    Initially the heads attend to the places −1, +1, −2, +2, …, as a model learns from little text to use neighbours.
    """

    def __init__(self, heads: int, positions: int) -> None:
        super().__init__()
        self.positions = positions
        self.weight = nn.Parameter(torch.empty(heads, 2 * positions - 1))

    def initial(self) -> Tensor:
        """Return the initial weight."""
        heads = range(len(self.weight))
        start = torch.zeros_like(self.weight)
        start[list(heads), [self.positions - 1 + neighbour_offset(head) for head in heads]] = PEAK
        return start

    def forward(self, length: int) -> Tensor:
        """Return the biases (heads,T,T); that of places i, j is for the distance j − i."""
        rows = self.weight[:, self.positions - length : self.positions + length - 1].unfold(1, length, 1)
        return rows.flip(1)


class Attention(nn.Module):
    """Bidirectional attention over normalised, rotated queries and keys."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.read = StackedLinear(width, width, count=3)
        self.query_norm = Norm(width // self.heads)
        self.key_norm = Norm(width // self.heads)
        self.bias = DistanceBias(self.heads, config.max_position_embeddings)
        self.output = OutputLinear(width, width)

    def forward(self, features: Tensor, turns: Tensor, blocked: Tensor | None) -> Tensor:
        """Return (B,T,H) from features (B,T,H), cosines and sines `turns` (2,T,1,D/2) and hidden places (B,1,1,T)."""
        bias = self.bias(features.shape[1])
        if blocked is not None:
            bias = bias.masked_fill(blocked, FORBIDDEN)
        return self.mix(*self.ask(features, turns), bias)

    def ask(self, features: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (B,heads,T,D)."""
        query, key, value = self.read(features).unflatten(2, (3, self.heads, -1)).unbind(2)  # (B,T,heads,D)
        query, key = rotate(self.query_norm(query), turns), rotate(self.key_norm(key), turns)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)

    def mix(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """Return the attention's output (B,T,H)."""
        output: Tensor = self.output(attend(query, key, value, bias).transpose(1, 2).flatten(2))
        return output


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Return softmax(Q·Kᵀ/√D + bias)·V of (B,heads,T,D); on a CPU by plain products, whose backward pass is faster."""
    if query.device.type != "cpu":
        return scaled_dot_product_attention(query, key, value.to(query.dtype), bias.to(query.dtype))
    scores = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3) + bias
    mixed: Tensor = scores.softmax(3) @ value
    return mixed


class FeedForward(nn.Module):
    """A SwiGLU feed-forward block."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.read = StackedLinear(config.hidden_size, config.intermediate_size, count=2)
        self.output = OutputLinear(config.intermediate_size, config.hidden_size)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.output(swiglu(self.read(features)))
        return output


class Layer(nn.Module):
    """Computes x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = Norm(config.hidden_size), Norm(config.hidden_size)
        self.attention, self.feed_forward = Attention(config), FeedForward(config)
        self.dropout = ByteDropout(0.0)

    def forward(self, hidden: Tensor, turns: Tensor, blocked: Tensor | None) -> Tensor:
        """Return (B,T,H) from hidden (B,T,H), turns (2,T,1,D/2), blocked (B,1,1,T)."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), turns, blocked))
        result: Tensor = hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
        return result


class ModernPreTrainedModel(PreTrainedModel):
    """The parts that Hugging Face requires of both models."""

    config_class = ModernConfig
    config: ModernConfig
    base_model_prefix = "modern"

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        initialise(module)


def initialise(module: nn.Module) -> None:
    """Set outputs of sublayers to zero and draw other matrices with a standard deviation of 1/2√H."""
    if isinstance(module, Norm):
        init.ones_(module.weight)
    elif isinstance(module, DistanceBias):
        init.copy_(module.weight, module.initial())
    elif isinstance(module, OutputLinear):
        init.zeros_(module.weight)
    elif isinstance(module, nn.Linear):
        init.normal_(module.weight, std=0.5 * module.in_features**-0.5)


class ModernModel(ModernPreTrainedModel):
    """The encoder."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embedding_norm = Norm(config.hidden_size)
        self.embedding_dropout = ByteDropout(0.0)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.final_norm = Norm(config.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> BaseModelOutput:
        """Return last_hidden_state (B,T,H) of input_ids (B,T); attention_mask (B,T) is 0 or false at padding."""
        blocked = None if attention_mask is None else ~attention_mask.bool()[:, None, None, :]
        hidden = self.embed(input_ids)
        places = torch.arange(input_ids.shape[1], device=hidden.device)
        turns = turns_of(places, self.config).to(hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, turns, blocked)
        return BaseModelOutput(last_hidden_state=self.final_norm(hidden))

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return the input (B,T,H) of the first layer for input_ids (B,T)."""
        embedded: Tensor = self.embedding_dropout(self.embedding_norm(self.embeddings(input_ids)))
        return embedded

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings


def turns_of(places: Tensor, config: ModernConfig) -> Tensor:
    """Return the cosines and sines (2,…,1,D/2) of position times frequency for places (…)."""
    half = config.hidden_size // config.num_attention_heads // 2
    frequencies: Tensor = config.rope_theta ** (-torch.arange(half, device=places.device) / half)
    angles: Tensor = places.unsqueeze(-1) * frequencies
    return torch.stack([angles.cos(), angles.sin()]).unsqueeze(-2)


class ModernForMaskedLM(ModernPreTrainedModel):
    """The encoder and a head tied to its embeddings."""

    encoder_class: type[ModernModel] = ModernModel

    def __init__(self, config: ModernConfig) -> None:
        super().__init__(config)
        self.modern = self.encoder_class(config)
        self.transform = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.transform_norm = Norm(config.hidden_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.post_init()  # type: ignore[no-untyped-call]

    def predict(self, hidden: Tensor) -> Tensor:
        """Return logits (…,V) of hidden states (…,H)."""
        transformed = self.transform_norm(gelu(self.transform(hidden)))
        return linear(transformed, self.modern.embeddings.weight, self.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> MaskedLMOutput:
        """Return logits (B,T,V) of input_ids (B,T)."""
        return MaskedLMOutput(logits=self.predict(self.modern(input_ids, attention_mask).last_hidden_state))


AutoConfig.register(ModernConfig.model_type, ModernConfig)
AutoModel.register(ModernConfig, ModernModel)
AutoModelForMaskedLM.register(ModernConfig, ModernForMaskedLM)


def new_modern(settings: EncoderSettings, vocabulary_size: int) -> ModernForMaskedLM:
    """Return a model with initial weights."""
    return ModernForMaskedLM(ModernConfig(**modern_fields(settings, vocabulary_size)))


def modern_fields(settings: EncoderSettings, vocabulary_size: int) -> dict[str, Any]:
    """Return the fields of the configuration for the settings."""
    return {
        "vocab_size": vocabulary_size,
        "hidden_size": settings.hidden,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "intermediate_size": gated_width(settings.feed_forward),
        "max_position_embeddings": settings.max_length,
        "initializer_range": settings.initial_std,
        "pad_token_id": PAD,
    }


def gated_width(plain: int) -> int:
    """Return the width of a gated layer with as many parameters as a plain one: two thirds, up to a multiple of 16."""
    return -(-2 * plain // 48) * 16


MODERN = Architecture(new_modern, set_byte_dropout, layers_and_norm, lambda model, hidden: model.predict(hidden))
