"""A modern encoder for little compute, in Hugging Face layout; importing this module makes AutoModel know it.

Pre-norm residual blocks (Xiong et al. 2020, arXiv 2002.04745) without biases; rotary positions (Su et al. 2021, arXiv
2104.09864) and a learned bias for each distance (Raffel et al. 2020, arXiv 1910.10683) that starts as an n-gram reader;
normalised queries and keys (Henry et al. 2020, arXiv 2010.04245); gated feed-forward (Shazeer 2020, arXiv 2002.05202);
sublayers that start as zero (Bachlechner et al. 2020, arXiv 2003.04887).
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
from daguan.nn.dropouts import ByteDropout
from daguan.nn.fused import rotate, swiglu
from daguan.nn.muon import StackedLinear

EPSILON = 1e-6
FORBIDDEN = -1e4  # exp of it is 0, and half precision holds it
PEAK = 5.0  # the bias at first of the neighbour that a head reads


class ModernConfig(PreTrainedConfig):
    """Hugging Face's field names. intermediate_size: width of the gated layer."""

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
    """The last matrix of a sublayer: starts at zero."""

    def __init__(self, size: int, out: int) -> None:
        super().__init__(size, out, bias=False)


class DistanceBias(nn.Module):
    """What each head adds to the score of a place by its distance; weight (heads, 2M−1), M positions at most.

    At first the heads read the places −1, +1, −2, +2, …: a token's neighbours are what little text teaches first.
    """

    def __init__(self, heads: int, positions: int) -> None:
        super().__init__()
        self.positions = positions
        self.weight = nn.Parameter(torch.empty(heads, 2 * positions - 1))

    def initial(self) -> Tensor:
        """The weight at first."""
        heads = range(len(self.weight))
        start = torch.zeros_like(self.weight)
        start[list(heads), [self.positions - 1 + neighbour_offset(head) for head in heads]] = PEAK
        return start

    def forward(self, length: int) -> Tensor:
        """(heads,T,T): for places i, j that of distance j − i."""
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
        """features (B,T,H), turns (2,T,1,D/2) cosines and sines, blocked (B,1,1,T) → (B,T,H)."""
        bias = self.bias(features.shape[1])
        if blocked is not None:
            bias = bias.masked_fill(blocked, FORBIDDEN)
        return self.mix(*self.ask(features, turns), bias)

    def ask(self, features: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B,heads,T,D)."""
        query, key, value = self.read(features).unflatten(2, (3, self.heads, -1)).unbind(2)  # (B,T,heads,D)
        query, key = rotate(self.query_norm(query), turns), rotate(self.key_norm(key), turns)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)

    def mix(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """(B,T,H)."""
        output: Tensor = self.output(attend(query, key, value, bias).transpose(1, 2).flatten(2))
        return output


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """softmax(Q·Kᵀ/√D + bias)·V of (B,heads,T,D); on a CPU by plain products: their backward pass is faster."""
    if query.device.type != "cpu":
        return scaled_dot_product_attention(query, key, value.to(query.dtype), bias.to(query.dtype))
    scores = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3) + bias
    mixed: Tensor = scores.softmax(3) @ value
    return mixed


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.read = StackedLinear(config.hidden_size, config.intermediate_size, count=2)
        self.output = OutputLinear(config.intermediate_size, config.hidden_size)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.output(swiglu(self.read(features)))
        return output


class Layer(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModernConfig) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = Norm(config.hidden_size), Norm(config.hidden_size)
        self.attention, self.feed_forward = Attention(config), FeedForward(config)
        self.dropout = ByteDropout(0.0)

    def forward(self, hidden: Tensor, turns: Tensor, blocked: Tensor | None) -> Tensor:
        """hidden (B,T,H), turns (2,T,1,D/2), blocked (B,1,1,T) → (B,T,H)."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), turns, blocked))
        result: Tensor = hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
        return result


class ModernPreTrainedModel(PreTrainedModel):
    """What Hugging Face asks of both models."""

    config_class = ModernConfig
    config: ModernConfig
    base_model_prefix = "modern"

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        initialise(module)


def initialise(module: nn.Module) -> None:
    """Outputs of sublayers start at zero, matrices that read at a standard deviation of 1/2√H."""
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
        """input_ids (B,T), attention_mask (B,T) 0 or false at padding → last_hidden_state (B,T,H)."""
        blocked = None if attention_mask is None else ~attention_mask.bool()[:, None, None, :]
        hidden = self.embed(input_ids)
        places = torch.arange(input_ids.shape[1], device=hidden.device)
        turns = turns_of(places, self.config).to(hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, turns, blocked)
        return BaseModelOutput(last_hidden_state=self.final_norm(hidden))

    def embed(self, input_ids: Tensor) -> Tensor:
        """(B,T) → (B,T,H): what the first layer reads."""
        embedded: Tensor = self.embedding_dropout(self.embedding_norm(self.embeddings(input_ids)))
        return embedded

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings


def turns_of(places: Tensor, config: ModernConfig) -> Tensor:
    """places (…) → (2,…,1,D/2): cosines and sines of position times frequency."""
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
        """(…,H) → logits (…,V)."""
        transformed = self.transform_norm(gelu(self.transform(hidden)))
        return linear(transformed, self.modern.embeddings.weight, self.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> MaskedLMOutput:
        """input_ids (B,T) → logits (B,T,V)."""
        return MaskedLMOutput(logits=self.predict(self.modern(input_ids, attention_mask).last_hidden_state))


AutoConfig.register(ModernConfig.model_type, ModernConfig)
AutoModel.register(ModernConfig, ModernModel)
AutoModelForMaskedLM.register(ModernConfig, ModernForMaskedLM)


def new_modern(settings: EncoderSettings, vocabulary_size: int) -> ModernForMaskedLM:
    """A model that has read nothing."""
    return ModernForMaskedLM(ModernConfig(**modern_fields(settings, vocabulary_size)))


def modern_fields(settings: EncoderSettings, vocabulary_size: int) -> dict[str, Any]:
    """The configuration of a size."""
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
    """Of a gated layer with as many parameters as a plain one: two thirds, rounded up to a multiple of 16."""
    return -(-2 * plain // 48) * 16


def set_modern_dropout(model: ModernModel, p: float) -> None:
    """After the embeddings and each sublayer."""
    for module in model.modules():
        if isinstance(module, ByteDropout):
            module.p = p


MODERN = Architecture(new_modern, set_modern_dropout, layers_and_norm, lambda model, hidden: model.predict(hidden))
