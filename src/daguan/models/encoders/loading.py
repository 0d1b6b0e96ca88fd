"""One interface to all encoders: `MaskedLm` for pretraining, `Encoder` for taggers; building, loading and saving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.core.files import naming
from daguan.core.quantity import quantity
from daguan.data.vocabulary import CLS, PAD, SEP
from daguan.models.encoders.architecture import Architecture, Depth, as_numbers
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import AUTO, ENCODERS
from daguan.nn.dropouts import set_every_dropout


class Trained(nn.Module, ABC):
    """A model in pretraining."""

    @property
    @abstractmethod
    def encoders(self) -> list[nn.Module]:
        """Return the modules whose linear layers Muon trains."""

    @property
    def layers(self) -> list[Sequence[nn.Module]]:
        """Return the modules of each layer of the encoders, whose `forward` alone uses their weights."""
        from transformers import PreTrainedModel

        bodies = (body for body in self.encoders if isinstance(body, PreTrainedModel))  # and so no decoder of ours
        return [modules for body in bodies for modules in architecture_of(body.config).depth(body).layers]

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the parts from which other models start, in Hugging Face layout."""


class MaskedLm(Trained):
    """An encoder with its language-model head; only the chosen places are projected to the vocabulary.

    It starts from random weights, or from the folder that `settings.checkpoint` names.

    Raises:
        CheckpointError: the folder holds no checkpoint of the architecture for a vocabulary of that size.
    """

    def __init__(self, architecture: str, settings: EncoderSettings, vocabulary_size: int) -> None:
        super().__init__()
        _disable_progress_bars()
        self.model: Any
        self.architecture: Architecture
        if settings.checkpoint:
            self.model = read_masked_lm(Path(settings.checkpoint), architecture)
            if self.model.config.vocab_size != vocabulary_size:
                entries = quantity(vocabulary_size, "entry")
                raise CheckpointError(f"{settings.checkpoint}: expected {entries}, got {self.model.config.vocab_size}")
            self.architecture = architecture_of(self.model.config)
            self.architecture.set_dropout(self.model.base_model, 0.0)  # its configuration may have another rate
            apply_runtime_settings(self.model, self.architecture, settings)
        else:
            self.architecture = ENCODERS[architecture].load()
            self.model = self.architecture.new(settings, vocabulary_size)

    def forward(self, inputs: Tensor, positions: Tensor) -> Tensor:
        """Return logits (B·M,V) at positions (B,M) of inputs (B,T) without padding."""
        return self.predict(self.read(inputs), positions)

    def read(self, inputs: Tensor) -> Tensor:
        """Return the hidden states (B,T,H) of inputs (B,T) without padding."""
        hidden: Tensor = self.model.base_model(inputs).last_hidden_state
        return hidden

    def predict(self, hidden: Tensor, positions: Tensor) -> Tensor:
        """Return logits (B·M,V) at positions (B,M) of hidden states (B,T,H)."""
        chosen = hidden.gather(1, positions.unsqueeze(2).expand(-1, -1, hidden.shape[2]))
        return self.architecture.project(self.model, chosen.flatten(0, 1))

    @property
    def encoders(self) -> list[nn.Module]:
        """Return the model without its head."""
        return [self.model.base_model]

    def set_dropout(self, p: float) -> None:
        """Set the rate of dropout of the model without its head, that of Hugging Face's attention weights included."""
        set_every_dropout(self.model.base_model, p)
        self.architecture.set_dropout(self.model.base_model, p)

    def to_device(self, device: torch.device) -> MaskedLm:
        """Move to the device, with the implementation of attention that is fastest there."""
        self.architecture.choose_attention(self.model, device)
        return self.to(device)

    def save(self, folder: Path) -> None:
        save_model(self.model, folder)


class FramedEncoder(nn.Module):
    """An encoder of bare tokens: it adds [CLS] and [SEP] and removes their states, so that heads see tokens only."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.out_features: int = model.config.hidden_size

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Return hidden states (B,T,H) for token_ids (B,T) and a left-aligned mask (B,T)."""
        edge = token_ids.new_full((token_ids.shape[0], 1), PAD)
        framed = torch.cat([edge.fill_(CLS), token_ids, torch.full_like(edge, PAD)], dim=1)
        framed = framed.scatter(1, mask.sum(1, keepdim=True) + 1, SEP)
        wide = torch.cat([torch.ones_like(mask[:, :2]), mask], dim=1)
        hidden: Tensor = self.model(framed, attention_mask=self.attention_mask(wide)).last_hidden_state
        return hidden[:, 1:-1]

    def attention_mask(self, mask: Tensor) -> Tensor:
        """Return what the model takes by that name, from a mask of tokens (B,T)."""
        return as_numbers(self.model, mask)


class Encoder(FramedEncoder):
    """An encoder with what training and saving need of it."""

    def __init__(self, model: Any, dropout: float) -> None:
        super().__init__(model)
        self.architecture = architecture_of(model.config)
        self.architecture.set_dropout(model, dropout)

    @property
    def depth(self) -> Depth:
        """Return how the parameters lie in layers."""
        return self.architecture.depth(self.model)

    def to_device(self, device: torch.device) -> Encoder:
        """Move to the device, with the implementation of attention that is fastest there."""
        self.architecture.choose_attention(self.model, device)
        return self.to(device)

    def attention_mask(self, mask: Tensor) -> Tensor:
        return self.architecture.attention_mask(self.model, mask)

    def save(self, folder: Path) -> None:
        save_model(self.model, folder)


def save_model(model: Any, folder: Path) -> None:
    """Write config.json and model.safetensors in Hugging Face layout. Raises WriteError: the disk is full."""
    with naming(folder):
        model.save_pretrained(folder)


def load_encoder(folder: Path, dropout: float) -> Encoder:
    """Return the encoder of a Hugging Face folder, which may also hold its language-model head.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or its architecture is unknown.
    """
    model, missing = _read(folder)
    if missing:  # transformers would draw them at random
        raise CheckpointError(f"{folder}: expected whole weights, got none for {', '.join(sorted(missing))}")
    return Encoder(model.base_model, dropout)


def read_masked_lm(folder: Path, architecture: str) -> Any:
    """Return the model of a Hugging Face folder with its masked-LM head, a random head if the folder has none.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or its architecture is another one.
    """
    model, missing = _read(folder, architecture)
    if body := sorted(name for name in missing if name.startswith(f"{model.base_model_prefix}.")):
        raise CheckpointError(f"{folder}: expected whole weights, got none for {', '.join(body)}")
    return model


def apply_runtime_settings(model: Any, kind: Architecture, settings: EncoderSettings) -> None:
    """Write the settings on which no weight depends into the configuration; the checkpoint decides all others."""
    for name in kind.runtime_settings:
        setattr(model.config, name, getattr(settings, name))


def _read(folder: Path, architecture: str | None = None) -> tuple[Any, set[str]]:
    """Return the model in float32 and the names of weights that the folder lacks.

    With an architecture, the model must be of it and has its masked-LM head; else it has a head if the folder has one.
    Raises CheckpointError.
    """
    _disable_progress_bars()
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: expected a Hugging Face checkpoint with config.json, got none")
    try:
        return _read_model(folder, architecture)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder}: expected a readable checkpoint, got: {' '.join(str(error).split())}"
        ) from None


def _read_model(folder: Path, architecture: str | None) -> tuple[Any, set[str]]:
    import transformers as hf

    raw, _ = hf.PreTrainedConfig.get_config_dict(folder)
    ENCODERS[_name_of(raw.get("model_type", ""))].load()  # importing one of ours makes transformers know its type
    config = hf.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    kind = architecture_of(config)
    if architecture:
        _require_named(folder, architecture, config.model_type)
    if not any(folder.glob("*.safetensors")):
        raise ValueError("no weights as safetensors, and others are not read")
    loading = {"output_loading_info": True, "dtype": torch.float32, "use_safetensors": True}
    heads = {
        "MaskedLM": hf.AutoModelForMaskedLM,
        "CausalLM": hf.AutoModelForCausalLM,
        "ConditionalGeneration": hf.AutoModelForSeq2SeqLM,
    }
    there = [head for head in heads if any(head in name for name in config.architectures or ())]
    if there or architecture:
        model, info = heads[there[0] if there else kind.head].from_pretrained(folder, **loading)
    else:
        model, info = hf.AutoModel.from_pretrained(folder, **loading, **_without_pooler(config))
    broken = sorted(name for name, weights in model.named_parameters() if not weights.isfinite().all())
    if broken:
        raise ValueError(f"nan or infinite weights in {', '.join(broken)}")
    kind.complete(model)
    return model, info["missing_keys"]


def _without_pooler(config: Any) -> dict[str, bool]:
    """Return the option that leaves out the unused pooler of [CLS], if the type has one."""
    from transformers import MODEL_MAPPING

    kind: Any = MODEL_MAPPING[type(config)]
    return {"add_pooling_layer": False} if "add_pooling_layer" in signature(kind).parameters else {}


def architecture_of(config: Any) -> Architecture:
    """Return the architecture of a configuration. Raises ValueError: it is no encoder with a masked-LM head."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    name = _name_of(config.model_type)
    if name == AUTO and (config.is_encoder_decoder or type(config) not in MODEL_FOR_MASKED_LM_MAPPING):
        raise ValueError(f"type {config.model_type}, which is no encoder with a masked-LM head")
    found: Architecture = ENCODERS[name].load()
    return found


def _name_of(model_type: str) -> str:
    """Return the name for model.encoder."""
    return next((name for name, row in ENCODERS.items() if row.model_type == model_type), AUTO)


def _require_named(folder: Path, architecture: str, model_type: str) -> None:
    """Check that model.encoder names this type, or is `auto` and the type has no objective of its own.

    Raises:
        CheckpointError: it does not.
    """
    name = _name_of(model_type)
    masked = ENCODERS[name].pretrained and not ENCODERS[name].objective
    if architecture != name and not (architecture == AUTO and masked):
        asked = ENCODERS[architecture].model_type
        raise CheckpointError(
            f"{folder}: expected a checkpoint of type {asked} as model.encoder says, got {model_type}, "
            f"which is for model.encoder={name}"
        )


def new_encoder(architecture: str, settings: EncoderSettings, vocabulary_size: int, dropout: float) -> Encoder:
    """Return an encoder with random weights, for a tagger without a `pretrain` stage."""
    found: Architecture = ENCODERS[architecture].load()
    return Encoder(found.new(settings, vocabulary_size).base_model, dropout)


def _disable_progress_bars() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # we show our own
