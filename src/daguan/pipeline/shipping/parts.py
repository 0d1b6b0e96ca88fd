"""The encoder and the judge of an exported model. Every export writes this module for its model; here is an example."""

from __future__ import annotations

from typing import Any

from daguan.models.encoders.modern import ModernConfig, ModernModel
from daguan.pipeline.shipping.judging import Judge


def new_encoder(fields: dict[str, Any]) -> Any:
    """Return the encoder without weights, from the fields of its configuration."""
    return ModernModel(ModernConfig.from_dict(fields))


def new_judge(about: dict[str, Any], arrays: dict[str, Any]) -> Any:
    """Return the judge, from its description and the arrays of its n-gram CRF."""
    return Judge(about, arrays)
