"""BERT (Devlin et al. 2019) as Hugging Face builds it, and the one door to transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.core.settings import require
from daguan.nn.dropouts import ByteDropout
from daguan.text.vocabulary import CLS, PAD, SEP

INITIALISATIONS = ("ngram", "normal")


@dataclass(frozen=True)
class BertSettings:
    """layers, hidden, heads, feed_forward: the size. max_length: positions, [CLS] and [SEP] included; also the length
    of a pretraining block. initialisation: `ngram` (see `initialise_ngram`) or `normal`. initial_std: the standard
    deviation of initial weights."""

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    feed_forward: int = 1024
    max_length: int = 128
    initialisation: str = "ngram"
    initial_std: float = 0.02

    def __post_init__(self) -> None:
        require("layers", self.layers >= 1, "at least 1", self.layers)
        require("heads", self.heads >= 1, "at least 1", self.heads)
        require(
            "hidden", self.hidden % (2 * self.heads) == 0 < self.hidden, "an even multiple of bert.heads", self.hidden
        )
        require("feed_forward", self.feed_forward >= 1, "at least 1", self.feed_forward)
        require("max_length", self.max_length % 16 == 0 < self.max_length, "a multiple of 16", self.max_length)
        require("initialisation", self.initialisation in INITIALISATIONS, "ngram or normal", self.initialisation)
        enough = self.heads >= 2 or self.initialisation != "ngram"  # one head's width is kept for positions
        require("heads", enough, "at least 2 with bert.initialisation=ngram", self.heads)
        require("initial_std", self.initial_std > 0, "over 0", self.initial_std)

    @property
    def window(self) -> int:
        """Tokens of a line that fit: the positions without [CLS] and [SEP]."""
        return self.max_length - 2


class MaskedLm(nn.Module):
    """BERT with its masked-language-model head; only the chosen places are projected to the vocabulary."""

    def __init__(self, settings: BertSettings, vocabulary_size: int) -> None:
        super().__init__()
        from transformers import BertConfig, BertForMaskedLM
        from transformers.utils import logging

        logging.disable_progress_bar()  # we show our own

        config = BertConfig(
            vocab_size=vocabulary_size,
            hidden_size=settings.hidden,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            intermediate_size=settings.feed_forward,
            max_position_embeddings=settings.max_length,
            initializer_range=settings.initial_std,
            hidden_dropout_prob=0.0,  # pretraining on little compute never overfits; dropout costs a third of the time
            attention_probs_dropout_prob=0.0,
            pad_token_id=PAD,
        )
        self.bert: Any = BertForMaskedLM(config)
        if settings.initialisation == "ngram":
            initialise_ngram(self.bert.bert)

    def forward(self, inputs: Tensor, positions: Tensor) -> Tensor:
        """inputs (B,T) without padding, positions (B,M) → logits (B·M,V)."""
        hidden = self.bert.bert(inputs).last_hidden_state
        chosen = hidden.gather(1, positions.unsqueeze(2).expand(-1, -1, hidden.shape[2]))
        logits: Tensor = self.bert.cls(chosen.flatten(0, 1))
        return logits

    def to_device(self, device: torch.device) -> MaskedLm:
        """Move there, with the attention that is fastest there."""
        choose_attention(self.bert, device)
        return self.to(device)

    def save(self, folder: Path) -> None:
        """Hugging Face layout: config.json and model.safetensors."""
        self.bert.save_pretrained(folder)


class BertEncoder(nn.Module):
    """BERT over bare tokens: [CLS] and [SEP] are added here and stripped again; nobody outside sees them."""

    def __init__(self, bert: Any, dropout: float) -> None:
        super().__init__()
        self.bert = bert
        self.out_features: int = bert.config.hidden_size
        self.bert.embeddings.dropout = ByteDropout(dropout)
        for layer in self.bert.encoder.layer:
            layer.attention.output.dropout = ByteDropout(dropout)
            layer.output.dropout = ByteDropout(dropout)

    def to_device(self, device: torch.device) -> BertEncoder:
        """Move there, with the attention that is fastest there."""
        choose_attention(self.bert, device)
        return self.to(device)

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """token_ids (B,T), mask (B,T) left-aligned → (B,T,H)."""
        edge = token_ids.new_full((len(token_ids), 1), PAD)
        framed = torch.cat([edge.fill_(CLS), token_ids, torch.full_like(edge, PAD)], dim=1)
        framed = framed.scatter(1, mask.sum(1, keepdim=True) + 1, SEP)
        wide = torch.cat([torch.ones_like(mask[:, :2]), mask], dim=1)
        hidden: Tensor = self.bert(framed, attention_mask=wide).last_hidden_state
        return hidden[:, 1:-1]

    def save(self, folder: Path) -> None:
        self.bert.save_pretrained(folder)


def choose_attention(bert: Any, device: torch.device) -> None:
    """On a CPU plain matrix products: the backward pass of torch's fused attention takes 1.4 times as long there."""
    bert.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")


def load_encoder(folder: Path, dropout: float) -> BertEncoder:
    """The encoder of a Hugging Face folder, a bare one or one with its language-model head.

    Raises:
        CheckpointError: none there, or damaged.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: expected a Hugging Face checkpoint with config.json, got none")
    try:
        with_head = any("MaskedLM" in name for name in AutoConfig.from_pretrained(folder).architectures or ())
        if with_head:
            model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
        else:
            model, info = AutoModel.from_pretrained(folder, add_pooling_layer=False, output_loading_info=True)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder}: expected a readable checkpoint, got: {' '.join(str(error).split())}"
        ) from None
    if info["missing_keys"]:  # transformers would make them up
        raise CheckpointError(
            f"{folder}: expected whole weights, got none for {', '.join(sorted(info['missing_keys']))}"
        )
    return BertEncoder(model.base_model, dropout)


def new_encoder(settings: BertSettings, vocabulary_size: int, dropout: float) -> BertEncoder:
    """An encoder that has read nothing, for `pretrain.tokens=0`."""
    return BertEncoder(MaskedLm(settings, vocabulary_size).bert.bert, dropout)


@torch.no_grad()
def initialise_ngram(bert: Any) -> None:
    """Start the first layer as an n-gram reader: its heads attend to the places −1, +1, −2, +2, … (ours).

    A BERT that starts at random spends its first millions of tokens finding out that neighbours matter (the unigram
    plateau). Here the first D = H/heads dimensions of the embeddings are kept for positions, written as cosines and
    sines of D/2 frequencies ω; keys copy them, and the queries of the head for offset o turn them by ω·o, so the score
    of places i, j is Σ cos ω(i+o−j): highest at j = i+o. Everything stays a trainable BERT weight.
    """
    config = bert.config
    size = config.hidden_size // config.num_attention_heads
    half = size // 2
    # the power keeps the frequencies incommensurable: no second peak within 512 places
    omega = math.pi * ((torch.arange(half) + 0.5) / half) ** 1.2
    _write_positions(bert.embeddings, omega, config.initializer_range * math.sqrt(2))
    attention = bert.encoder.layer[0].attention
    query, key = torch.zeros_like(attention.self.query.weight), torch.zeros_like(attention.self.key.weight)
    sharpness = math.sqrt(10 / math.sqrt(size))  # a score of 10 at the peak whatever the head's width
    for head in range(config.num_attention_heads):
        rows = slice(head * size, (head + 1) * size)
        key[rows, :size] = sharpness * torch.eye(size)
        query[rows, :size] = sharpness * _turn(omega * _offset(head))
    attention.self.query.weight.copy_(query)
    attention.self.key.weight.copy_(key)
    for linear in (attention.self.value, attention.output.dense):  # let what is read pass at full strength
        nn.init.normal_(linear.weight, std=config.hidden_size**-0.5)


def _offset(head: int) -> int:
    """−1, +1, −2, +2, …"""
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
    """(D,D) taking (cos ωi, sin ωi) to (cos ω(i+o), sin ω(i+o)) for angles = ω·o."""
    cos, sin = torch.diag(angles.cos()), torch.diag(angles.sin())
    return torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])
