"""What the file of an encoder declares: how its Hugging Face model is built, called and adapted.

A new encoder is one file with an `Architecture`, and one row of table.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from daguan.models.encoders.settings import EncoderSettings


@dataclass(frozen=True)
class Depth:
    """The modules of an encoder from low to high; those in neither list, as embeddings, lie below all layers.

    Attributes:
        layers: the modules of each layer, the lowest layer first.
        above: the modules above all layers.
    """

    layers: Sequence[Sequence[nn.Module]]
    above: Sequence[nn.Module] = ()

    def numbers(self) -> dict[nn.Parameter, int]:
        """Returns the number of each parameter's layer, from 0; the number of layers for parameters above them all."""
        parts = (*self.layers, self.above)
        return {p: number for number, modules in enumerate(parts) for module in modules for p in module.parameters()}


def layers_and_norm(model: Any) -> Depth:
    """Returns the depth of a model that has its blocks in `layers` and `final_norm` above them."""
    return Depth([[layer] for layer in model.layers], [model.final_norm])


def _nothing(model: Any, device: torch.device | None = None) -> None:
    pass


def as_numbers(model: Any, mask: Tensor) -> Tensor:
    """Returns a mask (B,T) as 0 and 1: DeBERTa multiplies by it."""
    return mask.long()


def _no_head(model: Any, hidden: Tensor) -> Tensor:
    raise AssertionError("an encoder that is not pretrained has no language-model head")


def _no_decoder(model: Any) -> Any:
    raise AssertionError("an encoder without a decoder")


@dataclass(frozen=True)
class Architecture:
    """How our code uses one type of Hugging Face model.

    Attributes:
        new: builds a model with random weights, with a language-model head if the encoder is pretrained.
        set_dropout: sets the rate of dropout of the model without its head.
        depth: tells the layers of the model without its head.
        project: the head's logits (N,V) of hidden states (N,H).
        choose_attention: chooses what is fastest on a device.
        attention_mask: makes what the model takes by that name, from a mask of tokens (B,T).
        complete: finishes what Hugging Face leaves undone when it builds the model.
        with_decoder: returns the model with the decoder that pretraining adds.
        head: the kind of Hugging Face's class with the head, AutoModelFor….
        runtime_settings: the settings of EncoderSettings on which no weight depends; they override a checkpoint's.
    """

    new: Callable[[EncoderSettings, int], Any]
    set_dropout: Callable[[Any, float], None]
    depth: Callable[[Any], Depth]
    project: Callable[[Any, Tensor], Tensor] = _no_head
    choose_attention: Callable[[Any, torch.device], None] = _nothing
    attention_mask: Callable[[Any, Tensor], Tensor] = as_numbers
    complete: Callable[[Any], None] = _nothing
    with_decoder: Callable[[Any], Any] = _no_decoder
    head: str = "MaskedLM"
    runtime_settings: tuple[str, ...] = ()
