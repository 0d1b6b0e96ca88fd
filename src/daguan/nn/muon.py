"""Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks")."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, from the source
STEPS = 5
BLOCK = 128


class StackedLinear(nn.Linear):
    """Several linear layers with the same input as one matrix (count·out,in), without bias."""

    def __init__(self, size: int, out: int, count: int) -> None:
        super().__init__(size, count * out, bias=False)
        self.count = count


def hidden_matrices(*encoders: nn.Module) -> dict[Tensor, int]:
    """Returns the weights of the encoders' linear layers, which Muon can move, with their number of stacked
    matrices."""
    return {
        module.weight: module.count if isinstance(module, StackedLinear) else 1
        for module in chain.from_iterable(encoder.modules() for encoder in encoders)
        if isinstance(module, nn.Linear)
    }


class Muon(Optimizer):
    """Momentum with orthogonalised updates: each matrix moves equally in all its directions.

    torch.optim.Muon takes one whole matrix at a time in bf16. This one takes all of a shape at once, in `precision`,
    and cuts each along its longer side into blocks of at most BLOCK, which are orthogonalised separately: half the time
    on a CPU, for updates of the same size. A group's `count` is the number of matrices stacked in each of its
    parameters.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float, weight_decay: float, precision: torch.dtype
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "count": 1})
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in parameters:
                by_shape.setdefault(parameter.shape, []).append(parameter)
            for of_shape in by_shape.values():
                self._step_shape(of_shape, group)

    def _step_shape(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        buffers = [self._buffer(parameter) for parameter in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        nesterov = torch.stack(torch._foreach_lerp(gradients, buffers, group["momentum"]))
        whole = nesterov.view(-1, nesterov.shape[1] // group["count"], nesterov.shape[2])
        updates = orthogonal_blocks(whole.to(self.precision)).to(whole.dtype).reshape(nesterov.shape).unbind()
        rate = group["lr"] * max(1.0, whole.shape[1] / whole.shape[2]) ** 0.5  # as in the source
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, updates, alpha=-rate)

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def orthogonal_blocks(matrices: Tensor) -> Tensor:
    """Cuts (N,R,C) along the longer side, and orthogonalises the blocks, with the norm of an orthogonal whole."""
    wide = matrices.shape[2] > matrices.shape[1]
    tall = matrices.mT if wide else matrices
    rows, columns = tall.shape[1:]
    size = next(size for size in range(min(BLOCK, rows), 0, -1) if rows % size == 0)
    scale = float(max(size, columns) / rows) ** 0.5
    made: Tensor = (orthogonal(tall.reshape(-1, size, columns)) * scale).reshape(tall.shape)
    return made.mT if wide else made


def orthogonal(matrices: Tensor) -> Tensor:
    """Returns about U·Vᵀ of each matrix U·S·Vᵀ (N,R,C), singular values from .7 to 1.2, by Newton–Schulz iterations."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.float().flatten(1).norm(dim=1)[:, None, None] + 1e-7).to(x.dtype)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
