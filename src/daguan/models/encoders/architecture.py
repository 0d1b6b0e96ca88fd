"""What an encoder's file says of it: how its Hugging Face model is built, called, and settled.

A new encoder is one file with an `Architecture` and one line of the table in models/encoders/table.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from daguan.models.encoders.settings import EncoderSettings


def _as_it_is(model: Any, device: torch.device | None = None) -> None:
    pass


def _no_head(model: Any, hidden: Tensor) -> Tensor:
    raise AssertionError("an encoder that is not pretrained has no masked-LM head")


def _no_decoder(model: Any) -> Any:
    raise AssertionError("an encoder without a decoder")


@dataclass(frozen=True)
class Architecture:
    """new: its model that has read nothing, with a language-model head where it
    is pretrained. set_dropout: in the bare encoder. project: hidden (N,H) → logits (N,V) by that head. settle: what is
    to be chosen for a device. complete: what Hugging Face leaves undone when it has built the model. with_decoder: that
    model with its decoder, where pretraining gives it one. head: Hugging Face's class of models with that head is
    AutoModelFor… this. of_reading: settings that no weight depends on, and so no checkpoint decides."""

    new: Callable[[EncoderSettings, int], Any]
    set_dropout: Callable[[Any, float], None]
    project: Callable[[Any, Tensor], Tensor] = _no_head
    settle: Callable[[Any, torch.device], None] = _as_it_is
    complete: Callable[[Any], None] = _as_it_is
    with_decoder: Callable[[Any], Any] = _no_decoder
    head: str = "MaskedLM"
    of_reading: tuple[str, ...] = ()
