"""Lookahead (Zhang et al. 2019, arXiv 1907.08610) around any torch optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daguan.core.errors import ConfigError
from daguan.nn.optimiser_settings import OptimiserSettings
from daguan.nn.shares import local
from daguan.nn.tables import MOMENTA

MOMENTUM_KEYS = ("momentum_buffer", "exp_avg")  # of SGD and Muon; of the Adam family


class Lookahead(Optimizer):
    """Runs `inner` on the parameters, the fast weights, and synchronises them with slow weights.

    After every `steps` steps slow ← slow + α·(fast − slow) and fast ← slow (algorithm 1). Slow weights start at the
    parameters; they are the ones to evaluate.

    `momentum` says what a synchronisation does to the inner momentum (the authors' code, there for SGD alone):
    `maintain` leaves it; `reset` sets it to zero; `pullback` maintains a slow momentum, zero at first, by the rule of
    the weights. For the Adam family it is exp_avg. exp_avg_sq and the step count describe the size of gradients, not
    their direction, and are left alone; so the first updates after a reset are small: no bias correction compensates
    for the zeros.

    One counter serves all parameters. A parameter without a gradient does not move, so its slow weight equals it; one
    that had a gradient in any step of a cycle is synchronised with the others.

    Groups and inner state are the inner optimiser's own objects, so schedules act on both.
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
        """Adds the group to the inner optimiser; its slow weights start at the current values."""
        if not any(param_group is group for group in self.inner.param_groups):
            self.inner.add_param_group(param_group)
        self.slow |= {parameter: parameter.detach().clone() for parameter in param_group["params"]}

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Takes an inner step, and synchronises after each `steps` of them.

        Raises:
            ValueError: the momentum is to change, and the inner optimiser has no known one.
        """
        loss = self.inner.step(closure)
        self.done += 1
        if self.done % self.steps == 0:
            self._synchronise()
        return loss

    @torch.no_grad()
    def _synchronise(self) -> None:
        fast, slow = [local(weight) for weight in self.slow], [local(weight) for weight in self.slow.values()]
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
        """Returns the momentum of each parameter that has one."""
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
        """Returns the inner state, slow weights and momenta in the order of the parameters, and the counter."""
        return {
            "inner": self.inner.state_dict(),
            "slow": list(self.slow.values()),
            "slow_momentum": [self.slow_momentum.get(parameter) for parameter in self.slow],
            "done": self.done,
        }

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores `state_dict` around an optimiser over equally many parameters."""
        self.inner.load_state_dict(state_dict["inner"])
        self._share()
        self.done = state_dict["done"]
        for own, saved in zip(self.slow.values(), state_dict["slow"], strict=True):
            own.copy_(saved)
        momenta = zip(self.slow, state_dict["slow_momentum"], strict=True)
        self.slow_momentum = {parameter: saved.clone() for parameter, saved in momenta if saved is not None}


def with_lookahead(optimisers: Sequence[Optimizer], settings: OptimiserSettings) -> list[Optimizer]:
    """Returns the optimisers, each in a Lookahead if the settings name one."""
    if not settings.lookahead_steps:
        return list(optimisers)
    how = settings.lookahead_steps, settings.lookahead_alpha, settings.lookahead_momentum
    return [Lookahead(optimiser, *how) for optimiser in optimisers]


def current_weights(model: nn.Module, optimisers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """Returns the weights by name: the slow ones where Lookahead holds them."""
    slow: dict[Tensor, Tensor] = {}
    for optimiser in optimisers:
        if isinstance(optimiser, Lookahead):
            slow |= optimiser.slow
    return {name: slow.get(parameter, parameter) for name, parameter in model.named_parameters()}


def require_synchronised(section: str, settings: OptimiserSettings, updates: int) -> None:
    """Raises ConfigError: Lookahead would never synchronise in that number of updates, so that nothing were learnt."""
    if settings.lookahead_steps > updates:
        expected = f"expected at most {updates}, the number of updates"
        raise ConfigError(f"{section}.lookahead_steps: {expected}, got {settings.lookahead_steps}")
