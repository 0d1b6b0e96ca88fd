"""Encoders of every architecture behind one face: pretrained as `MaskedLm`, used as `Encoder`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.models.encoder_settings import EncoderSettings
from daguan.text.vocabulary import CLS, PAD, SEP


@dataclass(frozen=True)
class Architecture:
    """How to build Hugging Face's model with its masked-LM head; how that head is called; where dropout goes, and what
    is to be settled for a device. model_type: Hugging Face's name for it."""

    model_type: str
    new: Callable[[EncoderSettings, int], Any]
    project: Callable[[Any, Tensor], Tensor]
    set_dropout: Callable[[Any, float], None]
    settle: Callable[[Any, torch.device], None]


@cache
def architectures() -> dict[str, Architecture]:
    """Those that ENCODERS names. (Importing transformers takes seconds, so only who builds an encoder does.)"""
    from daguan.models import bert, modern

    return {
        "bert": Architecture(
            "bert",
            bert.new_bert,
            lambda model, hidden: model.cls(hidden),
            bert.set_bert_dropout,
            bert.choose_bert_attention,
        ),
        "modern": Architecture(
            modern.ModernConfig.model_type,
            modern.new_modern,
            lambda model, hidden: model.predict(hidden),
            modern.set_modern_dropout,
            lambda model, device: None,
        ),
    }


class MaskedLm(nn.Module):
    """An encoder with its masked-language-model head; only the chosen places are projected to the vocabulary."""

    def __init__(self, architecture: str, settings: EncoderSettings, vocabulary_size: int) -> None:
        super().__init__()
        _quiet()
        self.architecture = architectures()[architecture]
        self.model: Any = self.architecture.new(settings, vocabulary_size)

    def forward(self, inputs: Tensor, positions: Tensor) -> Tensor:
        """inputs (B,T) without padding, positions (B,M) → logits (B·M,V)."""
        return self.predict(self.read(inputs), positions)

    def read(self, inputs: Tensor) -> Tensor:
        """inputs (B,T) without padding → (B,T,H)."""
        hidden: Tensor = self.model.base_model(inputs).last_hidden_state
        return hidden

    def predict(self, hidden: Tensor, positions: Tensor) -> Tensor:
        """hidden (B,T,H), positions (B,M) → logits (B·M,V)."""
        chosen = hidden.gather(1, positions.unsqueeze(2).expand(-1, -1, hidden.shape[2]))
        return self.architecture.project(self.model, chosen.flatten(0, 1))

    @property
    def encoders(self) -> list[nn.Module]:
        """What layers with hidden matrices are in: here the one without its head."""
        return [self.model.base_model]

    def to_device(self, device: torch.device) -> MaskedLm:
        """Move there, with the attention that is fastest there."""
        self.architecture.settle(self.model, device)
        return self.to(device)

    def save(self, folder: Path) -> None:
        """Hugging Face layout: config.json and model.safetensors."""
        self.model.save_pretrained(folder)


class Encoder(nn.Module):
    """An encoder over bare tokens: [CLS] and [SEP] are added here and stripped again; nobody outside sees them."""

    def __init__(self, model: Any, dropout: float) -> None:
        super().__init__()
        self.model = model
        self.out_features: int = model.config.hidden_size
        self.architecture = next(
            architecture
            for architecture in architectures().values()
            if architecture.model_type == model.config.model_type
        )
        self.architecture.set_dropout(model, dropout)

    def to_device(self, device: torch.device) -> Encoder:
        """Move there, with the attention that is fastest there."""
        self.architecture.settle(self.model, device)
        return self.to(device)

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """token_ids (B,T), mask (B,T) left-aligned → (B,T,H)."""
        edge = token_ids.new_full((len(token_ids), 1), PAD)
        framed = torch.cat([edge.fill_(CLS), token_ids, torch.full_like(edge, PAD)], dim=1)
        framed = framed.scatter(1, mask.sum(1, keepdim=True) + 1, SEP)
        wide = torch.cat([torch.ones_like(mask[:, :2]), mask], dim=1)
        hidden: Tensor = self.model(framed, attention_mask=wide).last_hidden_state
        return hidden[:, 1:-1]

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)


def load_encoder(folder: Path, dropout: float) -> Encoder:
    """The encoder of a Hugging Face folder, a bare one or one with its language-model head.

    Raises:
        CheckpointError: none there, damaged, or of an architecture we have not.
    """
    _quiet()
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: expected a Hugging Face checkpoint with config.json, got none")
    try:
        model, missing = _read_model(folder)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder}: expected a readable checkpoint, got: {' '.join(str(error).split())}"
        ) from None
    if missing:  # transformers would make them up
        raise CheckpointError(f"{folder}: expected whole weights, got none for {', '.join(sorted(missing))}")
    return Encoder(model, dropout)


def _read_model(folder: Path) -> tuple[Any, set[str]]:
    """The model without a head, and the names of weights that the folder lacks."""
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    known = [architecture.model_type for architecture in architectures().values()]  # and so they are registered
    config = AutoConfig.from_pretrained(folder)
    if config.model_type not in known:
        raise ValueError(f"an encoder of type {config.model_type}; known: {', '.join(known)}")
    if any("MaskedLM" in name for name in config.architectures or ()):
        model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    else:
        without = {"add_pooling_layer": False} if config.model_type == "bert" else {}
        model, info = AutoModel.from_pretrained(folder, output_loading_info=True, **without)
    return model.base_model, info["missing_keys"]


def new_encoder(architecture: str, settings: EncoderSettings, vocabulary_size: int, dropout: float) -> Encoder:
    """An encoder that has read nothing, for `pretrain.tokens=0`."""
    return Encoder(MaskedLm(architecture, settings, vocabulary_size).model.base_model, dropout)


def _quiet() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # we show our own
