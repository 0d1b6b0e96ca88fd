"""Encoders of every architecture behind one face: pretrained as `MaskedLm`, used as `Encoder`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.models.architecture import Architecture
from daguan.models.encoder_settings import ENCODERS, EncoderSettings
from daguan.text.vocabulary import CLS, PAD, SEP


@cache
def architectures() -> dict[str, Architecture]:
    """Those that ENCODERS names. (Importing transformers takes seconds, so only who builds an encoder does.)"""
    found = {}
    for name, entry in ENCODERS.items():
        module, _, attribute = entry.path.partition(":")
        found[name] = getattr(import_module(module), attribute)
    return found


class MaskedLm(nn.Module):
    """An encoder with its masked-language-model head; only the chosen places are projected to the vocabulary.

    It has read nothing, or starts from the folder that `settings.checkpoint` names. Raises CheckpointError: that is no
    checkpoint of the architecture for that vocabulary.
    """

    def __init__(self, architecture: str, settings: EncoderSettings, vocabulary_size: int) -> None:
        super().__init__()
        _quiet()
        self.architecture = architectures()[architecture]
        self.model: Any
        if settings.checkpoint:
            self.model = read_masked_lm(Path(settings.checkpoint), architecture)
            if self.model.config.vocab_size != vocabulary_size:
                raise CheckpointError(
                    f"{settings.checkpoint}: expected {vocabulary_size} entries, got {self.model.config.vocab_size}"
                )
            read_as_asked(self.model, self.architecture, settings)
        else:
            self.model = self.architecture.new(settings, vocabulary_size)

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
        self.architecture = _architecture_of(model.config)
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
    model, missing = _read(folder, headless=True)
    if missing:  # transformers would make them up
        raise CheckpointError(f"{folder}: expected whole weights, got none for {', '.join(sorted(missing))}")
    return Encoder(model.base_model, dropout)


def read_masked_lm(folder: Path, architecture: str) -> Any:
    """The model of a Hugging Face folder with its masked-LM head, a new one if it has none.

    Raises:
        CheckpointError: none there, damaged, or of another architecture.
    """
    model, missing = _read(folder, headless=False)
    expected, got = architectures()[architecture].model_type, model.config.model_type
    if expected != got:
        raise CheckpointError(f"{folder}: expected a checkpoint of type {expected} as model.encoder says, got {got}")
    if body := sorted(name for name in missing if name.startswith(f"{model.base_model_prefix}.")):
        raise CheckpointError(f"{folder}: expected whole weights, got none for {', '.join(body)}")
    return model


def read_as_asked(model: Any, kind: Architecture, settings: EncoderSettings) -> None:
    """A checkpoint decides the sizes, and the settings what no weight depends on."""
    for name in kind.of_reading:
        setattr(model.config, name, getattr(settings, name))


def _read(folder: Path, headless: bool) -> tuple[Any, set[str]]:
    """The model in float32, without a masked-LM head if the folder has none and `headless`, and the names of weights
    that the folder lacks. Raises CheckpointError."""
    _quiet()
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: expected a Hugging Face checkpoint with config.json, got none")
    try:
        return _read_model(folder, headless)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder}: expected a readable checkpoint, got: {' '.join(str(error).split())}"
        ) from None


def _read_model(folder: Path, headless: bool) -> tuple[Any, set[str]]:
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

    architectures()  # importing ours registers them
    config = AutoConfig.from_pretrained(folder)
    kind = _architecture_of(config)
    loading = {"output_loading_info": True, "dtype": torch.float32}
    heads = {
        "MaskedLM": AutoModelForMaskedLM,
        "CausalLM": AutoModelForCausalLM,
        "ConditionalGeneration": AutoModelForSeq2SeqLM,
    }
    there = [head for head in heads if any(head in name for name in config.architectures or ())]
    if there or not headless:
        model, info = heads[there[0] if there else kind.head].from_pretrained(folder, **loading)
    else:
        without = {"add_pooling_layer": False} if kind.pooled else {}
        model, info = AutoModel.from_pretrained(folder, **loading, **without)
    return model, info["missing_keys"]


def _architecture_of(config: Any) -> Architecture:
    """Raises ValueError: one we have not."""
    known = {architecture.model_type: architecture for architecture in architectures().values()}
    if config.model_type not in known:
        raise ValueError(f"an encoder of type {config.model_type}; known: {', '.join(known)}")
    return known[config.model_type]


def new_encoder(architecture: str, settings: EncoderSettings, vocabulary_size: int, dropout: float) -> Encoder:
    """An encoder that has read nothing, for a tagger without a `pretrain` stage."""
    return Encoder(architectures()[architecture].new(settings, vocabulary_size).base_model, dropout)


def _quiet() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # we show our own
