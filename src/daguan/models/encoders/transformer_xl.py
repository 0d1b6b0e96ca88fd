"""Transformer-XL (Dai et al. 2019, arXiv 1901.02860) as two language models, in Hugging Face layout; importing this
module registers it with AutoModel.

One model reads the text forwards, the other backwards (as in ELMo, Peters et al. 2018, arXiv 1802.05365); a token's
features are the last states of both. The attention, its positions and the recurrence are the paper's. The blocks around
them are the modern encoder's (pre-norm, gated, sublayers that start at zero), which learn more from little compute.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from daguan.data.vocabulary import PAD
from daguan.models.encoders.architecture import Architecture, Depth
from daguan.models.encoders.modern import Norm, OutputLinear
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.dropouts import ByteDropout, set_byte_dropout
from daguan.nn.fused import swiglu
from daguan.nn.muon import StackedLinear
from daguan.nn.transformer_xl import (
    Memory,
    RelativeAttention,
    blocked_positions,
    falling_distances,
    sinusoids,
)
from daguan.nn.vocabulary_loss import vocabulary_loss


class TransformerXlConfig(PreTrainedConfig):
    """The configuration, by Hugging Face's names.

    Attributes:
        hidden_size: the width of both directions together.
        num_attention_heads: the heads of one direction.
        intermediate_size: the width of one direction's gated layer.
        memory, same_length, clamp: as in EncoderSettings; no weight depends on them.
    """

    model_type = "daguan-transformer-xl"
    vocab_size: int = 30000
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 352
    max_position_embeddings: int = 128
    memory: int = 64
    same_length: bool = False
    clamp: int = 0
    initializer_range: float = 0.02
    pad_token_id: int = 0
    tie_word_embeddings: bool = True

    @property
    def width(self) -> int:
        """Return the width of one direction."""
        return self.hidden_size // 2


class Layer(nn.Module):
    """Computes x + attention(norm(x)), then x + feed_forward(norm(x)); the memory passes the same norm as x."""

    def __init__(self, config: TransformerXlConfig) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = Norm(config.width), Norm(config.width)
        self.attention = RelativeAttention(config.width, config.num_attention_heads)
        self.gate = StackedLinear(config.width, config.intermediate_size, count=2)
        self.down = OutputLinear(config.intermediate_size, config.width)
        self.dropout = ByteDropout(0.0)

    def forward(self, hidden: Tensor, memory: Tensor | None, positions: Tensor, blocked: Tensor) -> Tensor:
        """Return (B,S,H) from hidden (B,S,H), memory (B,M,H), positions (M+S,H), blocked (S,M+S) or (B,S,M+S)."""
        whole = hidden if memory is None else torch.cat([memory.to(hidden.dtype), hidden], dim=1)
        context = self.attention_norm(whole)
        features = context[:, -hidden.shape[1] :]
        hidden = hidden + self.dropout(self.attention(features, context, positions, blocked))
        result: Tensor = hidden + self.dropout(self.down(swiglu(self.gate(self.feed_forward_norm(hidden)))))
        return result


class Direction(nn.Module):
    """A stack of layers that reads one way."""

    def __init__(self, config: TransformerXlConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.final_norm = Norm(config.width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return states (B,T,H) of inputs (B,T,H), each row from its start, without memory."""
        window = self.config.memory if self.config.same_length else 0
        read, _ = self._read(hidden, None, window)
        return read

    def follow(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Return states (B,S,H) of segments (B,S,H) that continue `memory`, and the memory for the next segments."""
        window = memory.length if self.config.same_length else 0
        read, inputs = self._read(hidden, memory, window)
        return read, memory.after(inputs)

    def _read(self, hidden: Tensor, memory: Memory | None, window: int) -> tuple[Tensor, list[Tensor]]:
        """Return the states and the input of each layer."""
        length, before = hidden.shape[1], 0 if memory is None else memory.length
        positions = self.positions(hidden, before)
        blocked = blocked_positions(length, before, None if memory is None else memory.kept, window, hidden.device)
        inputs = []
        for number, layer in enumerate(self.layers):
            inputs.append(hidden)
            hidden = layer(hidden, None if memory is None else memory.states[number], positions, blocked)
        return self.final_norm(hidden), inputs

    def positions(self, hidden: Tensor, before: int) -> Tensor:
        """Return what the layers know of the distances in a segment (B,S,H) after `before` places: (M+S,H)."""
        distances = falling_distances(hidden.shape[1], before, self.config.clamp, hidden.device)
        return sinusoids(distances, hidden.shape[2]).to(hidden.dtype)


class TransformerXlPreTrainedModel(PreTrainedModel):
    """The parts that Hugging Face requires of both models."""

    config_class = TransformerXlConfig
    config: TransformerXlConfig
    base_model_prefix = "transformer_xl"

    def _init_weights(self, module: nn.Module) -> None:
        """Set outputs of sublayers to zero and draw other matrices with a standard deviation of 1/2√H, as in the modern
        encoder."""
        if isinstance(module, Norm | nn.LayerNorm):
            init.ones_(module.weight)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, OutputLinear):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=0.5 * module.in_features**-0.5)
        elif isinstance(module, RelativeAttention):
            for tensor in (module.output.weight, module.content_bias, module.position_bias):
                init.zeros_(tensor)


class TransformerXlModel(TransformerXlPreTrainedModel):
    """Both directions with one table of embeddings."""

    def __init__(self, config: TransformerXlConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.width)
        self.embedding_norm = Norm(config.width)  # in place of the paper's factor of √H
        self.embedding_dropout = ByteDropout(0.0)
        self.onward, self.back = Direction(config), Direction(config)
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def directions(self) -> tuple[Direction, Direction]:
        return self.onward, self.back

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return embeddings (B,T,H/2) of input_ids (B,T)."""
        embedded: Tensor = self.embedding_dropout(self.embedding_norm(self.embeddings(input_ids)))
        return embedded

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> BaseModelOutput:
        """Return last_hidden_state (B,T,H) of input_ids (B,T): for each token the states of both directions after they
        have read it; attention_mask (B,T) is left-aligned, 0 or false at padding."""
        embedded = self.embed(input_ids)
        places = reversed_places(input_ids, attention_mask).unsqueeze(2).expand_as(embedded)
        back = self.back(embedded.gather(1, places)).gather(1, places)
        return BaseModelOutput(last_hidden_state=torch.cat([self.onward(embedded), back], dim=2))

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings


def reversed_places(input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return for each place (B,T) of a row the place as far from the row's end; padding stays in place."""
    places = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    if attention_mask is None:
        return places.flip(1)
    mirrored: Tensor = attention_mask.bool().sum(1, keepdim=True) - 1 - places
    return mirrored.where(mirrored >= 0, places)


class TransformerXlForCausalLM(TransformerXlPreTrainedModel):
    """Both directions and a head tied to the embeddings, which predicts the token after a state of the forward
    direction and the token before a state of the backward direction."""

    def __init__(self, config: TransformerXlConfig) -> None:
        super().__init__(config)
        self.transformer_xl = TransformerXlModel(config)
        self.transform = nn.Linear(config.width, config.width, bias=False)
        self.transform_norm = Norm(config.width)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.post_init()  # type: ignore[no-untyped-call]

    def predict(self, hidden: Tensor) -> Tensor:
        """Return logits (…,V) of states of one direction (…,H/2)."""
        return linear(self._transformed(hidden), self.transformer_xl.embeddings.weight, self.bias)

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the summed training loss () of states of one direction (B,S,H/2) for the next tokens, labels (B,S)."""
        states = self._transformed(hidden).flatten(0, 1)
        return vocabulary_loss(states, self.transformer_xl.embeddings.weight, self.bias, labels.flatten())

    def _transformed(self, hidden: Tensor) -> Tensor:
        transformed: Tensor = self.transform_norm(gelu(self.transform(hidden)))
        return transformed

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> CausalLMOutput:
        """Return the forward direction's logits (B,T,V) of each next token of input_ids (B,T)."""
        both = self.transformer_xl(input_ids, attention_mask).last_hidden_state
        return CausalLMOutput(logits=predict_next(self, both))


def predict_next(model: TransformerXlForCausalLM, hidden: Tensor) -> Tensor:
    """Return logits (…,V) of the next token from states of both directions (…,H)."""
    return model.predict(hidden[..., : model.config.width])


AutoConfig.register(TransformerXlConfig.model_type, TransformerXlConfig)
AutoModel.register(TransformerXlConfig, TransformerXlModel)
AutoModelForCausalLM.register(TransformerXlConfig, TransformerXlForCausalLM)


def new_transformer_xl(settings: EncoderSettings, vocabulary_size: int) -> TransformerXlForCausalLM:
    """Return a model with initial weights. Each direction has half of the settings' width, so that both together cost
    about as much as the modern encoder: half in the layers, and the vocabulary at every place."""
    config = TransformerXlConfig(
        vocab_size=vocabulary_size,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=-(-settings.feed_forward // 48) * 16,  # two thirds of a half, a multiple of 16
        max_position_embeddings=settings.max_length,
        memory=settings.memory,
        same_length=settings.same_length,
        clamp=settings.clamp,
        initializer_range=settings.initial_std,
        pad_token_id=PAD,
    )
    return TransformerXlForCausalLM(config)


def depth_of_transformer_xl(model: TransformerXlModel) -> Depth:
    """Returns the layers; each has a module of either direction."""
    onward, back = model.directions
    return Depth([*zip(onward.layers, back.layers, strict=True)], [onward.final_norm, back.final_norm])


TRANSFORMER_XL = Architecture(
    new_transformer_xl, set_byte_dropout, depth_of_transformer_xl, predict_next, head="CausalLM",
    runtime_settings=("memory", "same_length", "clamp"),
)  # fmt: skip
