"""LAMB (You et al. 2020, arXiv 1904.00962), by which ALBERT was pretrained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from daguan.nn.optimisers import Group, Options, adam_groups


class Lamb(Optimizer):
    """Adam with decoupled decay whose step on each matrix is as long as the matrix times the learning rate.

    x ← x − η·‖x‖/‖u‖·u with u = m̂/(√v̂ + ε) + λx (algorithm 2, φ the identity); the factor ‖x‖/‖u‖ is 1 where either
    norm is 0. Biases and norms, tensors of fewer than two dimensions, take u as it is: as in the authors' code, without
    which a bias that starts at 0 would hardly move.
    """

    def __init__(self, params: Iterable[Any], lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, parameter.grad, group)

    def _step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float64, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        (beta1, beta2), step = group["betas"], state["step"].add_(1)
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
        update = (state["exp_avg"] / (1 - beta1**step)).div_(root).add_(parameter, alpha=group["weight_decay"])
        if parameter.dim() > 1:
            update *= _trust_ratio(parameter, update)
        parameter.sub_(update, alpha=group["lr"])


def _trust_ratio(parameter: Tensor, update: Tensor) -> Tensor:
    """Returns ‖x‖/‖u‖ (), or 1; a GPU is not waited for."""
    ours, of_update = parameter.norm(), update.norm()
    return torch.where((ours > 0) & (of_update > 0), ours / of_update, torch.ones_like(ours))


def new_lamb(groups: Sequence[Group], options: Options) -> list[Optimizer]:
    """Returns LAMB for all groups."""
    (first, *_) = groups
    return [Lamb(adam_groups(groups), first.rate, options.betas, options.epsilon)]
