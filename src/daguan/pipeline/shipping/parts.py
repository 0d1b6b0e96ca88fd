"""The encoder and the heads of an exported model. Every export writes this module for its model; here is an example."""

from __future__ import annotations

from typing import Any

from daguan.models.encoders.modern import ModernConfig, ModernModel


def new_encoder(fields: dict[str, Any]) -> Any:
    """Return the encoder without weights, from the fields of its configuration."""
    return ModernModel(ModernConfig.from_dict(fields))
