"""Checkpoints as safetensors files: tensors by name, and a few plain values as JSON in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from daguan.core.errors import CheckpointError
from daguan.core.files import write_atomic


def save_state(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically, so that a kill leaves either the old file or the new one."""
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"values": json.dumps(values)}
    write_atomic(path, lambda temporary: save_file(whole, temporary, metadata))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns what `save_state` wrote.

    Raises:
        CheckpointError: no such file, or a damaged one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # the file itself cannot be iterated
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["values"])
    except FileNotFoundError:
        raise CheckpointError(f"{path}: expected a checkpoint, got nothing at that path") from None
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: expected a whole checkpoint, got: {error}; delete it to start afresh") from None


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors under the names `prefix/name`."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns those of the tensors whose names start with `prefix/`, without it."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
