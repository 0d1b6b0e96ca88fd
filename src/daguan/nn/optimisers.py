"""Optimisers and their state as named tensors, so that a checkpoint needs no pickle."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

DECAYED = (nn.Linear, nn.Embedding, nn.LSTM)


def decayed_names(model: nn.Module) -> set[str]:
    """Names of the parameters that weight decay pulls on: weights of linear, embedding and recurrent layers.

    Chosen by module type: CRF transitions are matrices too, and decay would erode them.
    """
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, DECAYED)
        for name, _ in module.named_parameters(recurse=False)
        if "bias" not in name
    }


def state_tensors(optimiser: Optimizer, names: dict[Tensor, str], prefix: str) -> dict[str, Tensor]:
    """The optimiser's state, flat: `prefix/parameter/key` → tensor."""
    return {
        f"{prefix}/{names[parameter]}/{key}": torch.as_tensor(value)
        for parameter, state in optimiser.state.items()
        for key, value in state.items()
    }


def load_state_tensors(optimiser: Optimizer, names: dict[Tensor, str], prefix: str, tensors: dict[str, Tensor]) -> None:
    """The inverse of `state_tensors`, for a fresh optimiser over the same parameters."""
    for parameter in chain.from_iterable(group["params"] for group in optimiser.param_groups):
        start = f"{prefix}/{names[parameter]}/"
        state = {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
        if state:
            optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in state.items()}


class LinearSchedule:
    """Each group's rate rises linearly from 0 over the warm-up updates, then falls linearly to 0 at the last."""

    def __init__(self, optimisers: Sequence[Optimizer], updates: int, warmup: float) -> None:
        self.groups = [(group, group["lr"]) for optimiser in optimisers for group in optimiser.param_groups]
        self.updates = updates
        self.warmup_updates = max(1, round(updates * warmup))

    def set(self, done: int) -> None:
        """Set the rates for the update that follows `done` finished ones."""
        rise = (done + 1) / self.warmup_updates
        fall = (self.updates - done) / max(1, self.updates - self.warmup_updates + 1)
        for group, peak in self.groups:
            group["lr"] = peak * max(0.0, min(1.0, rise, fall))
