"""Data parallelism on a CPU: each thread computes its own parts of a batch.

It is 1.3 times as fast on two cores as threads inside each operation, because a tagger's operations are too short for
threads to be synchronised after each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from daguan.nn.shares import is_share

Part = TypeVar("Part")
Result = TypeVar("Result")


class Replicas:
    """Copies of a model that share its weights and have their own gradients, a thread each; the model alone on a GPU,
    or if its weights lie in shares on several ranks.

    Gradients are added in a fixed order, so that the sum always has the same bits.
    """

    def __init__(self, model: nn.Module, maximum: int) -> None:
        parameter = next(model.parameters())
        count = 1 if is_share(parameter) else _threads(maximum, parameter.device)
        self.models = [model, *(deepcopy(model) for _ in range(count - 1))]
        for replica in self.models[1:]:
            for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
                own.data = shared.data
        self._threads = ThreadPoolExecutor(count, initializer=_single_thread) if count > 1 else None

    def map(self, function: Callable[[nn.Module, Part], Result], parts: Sequence[Part]) -> list[Result]:
        """Returns function(model, part) of each part, in order. Thread i computes parts i, i + count, …"""
        if self._threads is None:
            return [function(self.models[0], part) for part in parts]

        def work(replica: int) -> list[Result]:
            return [function(self.models[replica], part) for part in parts[replica :: len(self.models)]]

        results = list(self._threads.map(work, range(len(self.models))))
        return [results[i % len(self.models)][i // len(self.models)] for i in range(len(parts))]

    @torch.no_grad()
    def gather_gradients(self) -> None:
        """Add the replicas' gradients to the model's, and clear the replicas'."""
        for replica in self.models[1:]:
            for parameter, own in zip(self.models[0].parameters(), replica.parameters(), strict=True):
                if own.grad is None:
                    continue
                if parameter.grad is None:
                    parameter.grad = own.grad
                else:
                    parameter.grad.add_(own.grad)
                own.grad = None


def map_on_threads(function: Callable[[Part], Result], parts: Sequence[Part], device: torch.device) -> list[Result]:
    """Returns function(part) of each part, in order. The function may not compute gradients."""
    count = _threads(len(parts), device)
    if count == 1:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(count, initializer=_single_thread) as threads:
        return list(threads.map(function, parts))


def _threads(maximum: int, device: torch.device) -> int:
    """Returns the process's number of threads (see `prepare_process`) on a CPU, and 1 on a GPU."""
    return max(1, min(torch.get_num_threads(), maximum)) if device.type == "cpu" else 1


def _single_thread() -> None:
    torch.set_num_threads(1)
