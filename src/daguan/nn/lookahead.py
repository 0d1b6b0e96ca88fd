"""Lookahead (Zhang et al. 2019, arXiv 1907.08610) around any torch optimiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

MOMENTA = ("maintain", "reset", "pullback")
MOMENTUM_KEYS = ("momentum_buffer", "exp_avg")  # of SGD and Muon; of the Adam family


class Lookahead(Optimizer):
    """`inner` moves the parameters, the fast weights. After every `steps` of its steps slow ← slow + α·(fast − slow)
    and fast ← slow (algorithm 1). Slow weights start where the parameters are; they are the ones to evaluate.

    momentum: what a synchronisation does to the inner momentum (the authors' code; there of SGD alone). `maintain`
    leaves it; `reset` makes it zero; `pullback` keeps a slow momentum, zero at first, by the rule of the weights. Of
    the Adam family it is exp_avg; exp_avg_sq and the step count, which say how large gradients are and not where they
    point, are left, so that after a reset the first updates are small: no bias correction makes up for the zeros.

    One counter serves all parameters. One without a gradient does not move, so its slow weight is its own; one that had
    a gradient at any step of a cycle is synchronised with the others at its end.

    Groups and inner state are the inner optimiser's own: schedules act on both alike.
    """

    def __init__(self, inner: Optimizer, steps: int, alpha: float = 0.5, momentum: str = "maintain") -> None:
        assert steps >= 1
        assert 0 < alpha <= 1
        assert momentum in MOMENTA
        self.inner, self.steps, self.alpha, self.momentum = inner, steps, alpha, momentum
        self.done = 0
        self.slow: dict[Tensor, Tensor] = {}
        self.slow_momentum: dict[Tensor, Tensor] = {}
        super().__init__(inner.param_groups, inner.defaults)
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.inner.param_groups, self.inner.state

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """To the inner optimiser; slow weights of these parameters start where they are now."""
        if not any(param_group is group for group in self.inner.param_groups):
            self.inner.add_param_group(param_group)
        self.slow |= {parameter: parameter.detach().clone() for parameter in param_group["params"]}

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of the inner optimiser, and after `steps` of them a synchronisation.

        Raises:
            ValueError: the momentum is to change, and the inner optimiser has none that we know.
        """
        loss = self.inner.step(closure)
        self.done += 1
        if self.done % self.steps == 0:
            self._synchronise()
        return loss

    @torch.no_grad()
    def _synchronise(self) -> None:
        fast, slow = list(self.slow), list(self.slow.values())
        torch._foreach_lerp_(slow, fast, self.alpha)
        torch._foreach_copy_(fast, slow)
        if self.momentum == "reset":
            for momentum in self._momenta().values():
                momentum.zero_()
        elif self.momentum == "pullback":
            self._pull_back()

    def _pull_back(self) -> None:
        for parameter, momentum in self._momenta().items():
            slow = self.slow_momentum.setdefault(parameter, torch.zeros_like(momentum))
            momentum.copy_(slow.lerp_(momentum, self.alpha))

    def _momenta(self) -> dict[Tensor, Tensor]:
        """Of each parameter that has one."""
        found = {
            parameter: state[key]
            for parameter, state in self.inner.state.items()
            for key in MOMENTUM_KEYS
            if state.get(key) is not None
        }
        if not found and any(parameter.grad is not None for parameter in self.slow):
            kind = type(self.inner).__name__
            raise ValueError(f"momentum={self.momentum!r}: expected {' or '.join(MOMENTUM_KEYS)}, got none in {kind}")
        return found

    def state_dict(self) -> dict[str, Any]:
        """The inner optimiser's, the slow weights and momenta in the order of the parameters, the step counter."""
        return {
            "inner": self.inner.state_dict(),
            "slow": list(self.slow.values()),
            "slow_momentum": [self.slow_momentum.get(parameter) for parameter in self.slow],
            "done": self.done,
        }

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`, around an optimiser over as many parameters."""
        self.inner.load_state_dict(state_dict["inner"])
        self._share()
        self.done = state_dict["done"]
        for own, saved in zip(self.slow.values(), state_dict["slow"], strict=True):
            own.copy_(saved)
        momenta = zip(self.slow, state_dict["slow_momentum"], strict=True)
        self.slow_momentum = {parameter: saved.clone() for parameter, saved in momenta if saved is not None}
