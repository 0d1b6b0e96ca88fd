"""BERT (Devlin et al. 2019) as Hugging Face builds it, with an optional initialisation that reads n-grams."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from daguan.data.vocabulary import PAD
from daguan.models.encoders.architecture import Architecture, Depth, as_numbers
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.dropouts import ByteDropout


def new_bert(settings: EncoderSettings, vocabulary_size: int) -> Any:
    """Return a BertForMaskedLM with initial weights."""
    from transformers import BertConfig, BertForMaskedLM

    model: Any = BertForMaskedLM(BertConfig(**bert_fields(settings, vocabulary_size)))
    if settings.initialisation == "ngram":
        initialise_ngram(model.bert)
    return model


def bert_fields(settings: EncoderSettings, vocabulary_size: int) -> dict[str, Any]:
    """Return the fields that the configurations of BERT and its variants share, by Hugging Face's names."""
    return {
        "vocab_size": vocabulary_size,
        "hidden_size": settings.hidden,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "intermediate_size": settings.feed_forward,
        "max_position_embeddings": settings.max_length,
        "initializer_range": settings.initial_std,
        "hidden_dropout_prob": 0.0,  # pretraining on little compute never overfits; dropout costs a third of the time
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": PAD,
    }


def set_bert_dropout(bert: Any, p: float) -> None:
    """Put dropout after the embeddings and each sublayer."""
    bert.embeddings.dropout = ByteDropout(p)
    for layer in bert.encoder.layer:
        layer.attention.output.dropout = ByteDropout(p)
        layer.output.dropout = ByteDropout(p)


def depth_of_bert(bert: Any) -> Depth:
    """Return the layers of BERT or of a variant."""
    return Depth([[layer] for layer in bert.encoder.layer])


def choose_bert_attention(model: Any, device: torch.device) -> None:
    """Use plain matrix products on a CPU: the backward pass of torch's fused attention takes 1.4 times as long."""
    model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")


def mask_for_bert(model: Any, mask: Tensor) -> Tensor:
    """Return a mask of tokens (B,T) as (B,1,1,T) for torch's fused attention, else as 0 and 1.

    If it gets (B,T), transformers looks for padding and waits for a GPU.
    """
    return mask[:, None, None] if model.config._attn_implementation == "sdpa" else as_numbers(model, mask)


@torch.no_grad()
def initialise_ngram(bert: Any) -> None:
    """Initialise the first layer so that its heads attend to the places −1, +1, −2, +2, … (our own method).

    A BERT with random weights needs millions of tokens before it uses neighbours at all (the unigram plateau). Here the
    first D = H/heads dimensions of embeddings are reserved for positions, as cosines and sines of D/2 frequencies ω.
    Keys copy them, and the queries of the head with offset o rotate them by ω·o, so the score of places i, j is
    Σ cos ω(i+o−j), which is highest at j = i+o. All of these remain trainable weights.
    """
    config = bert.config
    size = config.hidden_size // config.num_attention_heads
    half = size // 2
    # the power makes the frequencies incommensurable: there is no second peak within 512 places
    omega = math.pi * ((torch.arange(half) + 0.5) / half) ** 1.2
    _write_positions(bert.embeddings, omega, config.initializer_range * math.sqrt(2))
    attention = bert.encoder.layer[0].attention
    query, key = torch.zeros_like(attention.self.query.weight), torch.zeros_like(attention.self.key.weight)
    sharpness = math.sqrt(10 / math.sqrt(size))  # a score of 10 at the peak whatever the head's width
    for head in range(config.num_attention_heads):
        rows = slice(head * size, (head + 1) * size)
        key[rows, :size] = sharpness * torch.eye(size)
        query[rows, :size] = sharpness * _turn(omega * neighbour_offset(head))
    attention.self.query.weight.copy_(query)
    attention.self.key.weight.copy_(key)
    for linear in (
        attention.self.value,
        attention.output.dense,
    ):  # so that the neighbour's embedding passes undiminished
        nn.init.normal_(linear.weight, std=config.hidden_size**-0.5)


def neighbour_offset(head: int) -> int:
    """Return the offset of a head: −1, +1, −2, +2, …"""
    distance = head // 2 + 1
    return -distance if head % 2 == 0 else distance


def _write_positions(embeddings: Any, omega: Tensor, amplitude: float) -> None:
    size = 2 * len(omega)
    positions = torch.arange(embeddings.position_embeddings.num_embeddings).unsqueeze(1) * omega
    table = embeddings.position_embeddings.weight
    table.zero_()
    table[:, :size] = amplitude * torch.cat([positions.cos(), positions.sin()], dim=1)
    embeddings.word_embeddings.weight[:, :size] = 0
    embeddings.token_type_embeddings.weight.zero_()


def _turn(angles: Tensor) -> Tensor:
    """Return the matrix (D,D) that maps (cos ωi, sin ωi) to (cos ω(i+o), sin ω(i+o)) for angles = ω·o."""
    cos, sin = torch.diag(angles.cos()), torch.diag(angles.sin())
    return torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])


BERT = Architecture(
    new=new_bert,
    set_dropout=set_bert_dropout,
    depth=depth_of_bert,
    project=lambda model, hidden: model.cls(hidden),
    choose_attention=choose_bert_attention,
    attention_mask=mask_for_bert,
)
