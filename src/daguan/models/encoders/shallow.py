"""Parts of encoders without pretraining: token and n-gram embeddings, and Hugging Face's layout.

Hashed bigrams and trigrams learn fast and then overfit (measured in this project), so training drops whole n-grams and
applies dropout to all embeddings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

from daguan.data.vocabulary import PAD
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.dropouts import ByteDropout
from daguan.nn.lstm import BiLstm
from daguan.nn.ngrams import NgramEmbeddings

TEMPLATES = ((-1, 0), (0, 1), (-1, 0, 1))


class ShallowConfig(PreTrainedConfig):
    """The configuration, by Hugging Face's names where it has them; the other fields are those of `EncoderSettings`."""

    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 256
    num_hidden_layers: int = 1
    ngram_buckets: int = 0
    ngram_size: int = 32
    ngram_dropout: float = 0.5
    initializer_range: float = 0.02
    pad_token_id: int = PAD


def shallow_fields(settings: EncoderSettings, vocabulary_size: int) -> dict[str, Any]:
    """Return the fields of the configuration for the settings."""
    return {
        "vocab_size": vocabulary_size,
        "embedding_size": settings.width,
        "hidden_size": settings.hidden,
        "num_hidden_layers": settings.layers,
        "ngram_buckets": settings.ngram_buckets,
        "ngram_size": settings.ngram_size,
        "ngram_dropout": settings.ngram_dropout,
        "initializer_range": settings.initial_std,
    }


class LexicalEmbeddings(nn.Module):
    """A token's embedding beside those of the n-grams around it, normalised, with dropout; with `widened`, projected to
    the width of the layers."""

    def __init__(self, config: ShallowConfig, widened: bool) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id)
        self.ngrams = None
        width = config.embedding_size
        if config.ngram_buckets:
            self.ngrams = NgramEmbeddings(TEMPLATES, config.ngram_buckets, config.ngram_size, config.ngram_dropout)
            width += len(TEMPLATES) * config.ngram_size
        self.norm = nn.LayerNorm(width)
        self.dropout = ByteDropout(0.0)
        self.widen = nn.Linear(width, config.hidden_size) if widened else nn.Identity()
        self.out_features = config.hidden_size if widened else width

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return embeddings (B,T,out_features) of token_ids (B,T), 0 at padding."""
        embedded = self.word_embeddings(token_ids)
        if self.ngrams is not None:
            embedded = torch.cat([embedded, self.ngrams(token_ids)], dim=2)
        wide: Tensor = self.widen(self.dropout(self.norm(embedded)))
        return wide


class LstmLayer(nn.Module):
    """A BiLSTM, then dropout."""

    def __init__(self, size: int, out: int) -> None:
        super().__init__()
        self.lstm = BiLstm(size, out // 2, layers=1, dropout=0.0)
        self.dropout = ByteDropout(0.0)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return features (B,T,out) from features (B,T,size) and a left-aligned mask (B,T)."""
        dropped: Tensor = self.dropout(self.lstm(features, mask))
        return dropped


class ShallowModel(PreTrainedModel):
    """Embeddings, then layers that a subclass builds in `new_layers`, then a layer norm."""

    config_class = ShallowConfig
    config: ShallowConfig
    base_model_prefix = "shallow"
    widened = False

    def __init__(self, config: ShallowConfig) -> None:
        super().__init__(config)
        self.embeddings = LexicalEmbeddings(config, self.widened)
        self.layers = nn.ModuleList(self.new_layers(self.embeddings.out_features))
        self.final_norm = nn.LayerNorm(config.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def new_layers(self, width: int) -> list[nn.Module]:
        """Return modules that turn features (B,T,width) into (B,T,H), each called with the mask (B,T)."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> BaseModelOutput:
        """Return last_hidden_state (B,T,H) of input_ids (B,T); attention_mask (B,T) is 0 or false at padding."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = mask.bool()
        hidden = self.embeddings(
            input_ids.masked_fill(~mask, PAD)
        )  # otherwise the n-grams at the end would read padding
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return BaseModelOutput(last_hidden_state=self.final_norm(hidden))

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.word_embeddings

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise embeddings, norms and linear layers; LSTMs keep torch's initialisation."""
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
            if module.padding_idx is not None:
                init.zeros_(module.weight[module.padding_idx])
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features**-0.5)
            init.zeros_(module.bias)
