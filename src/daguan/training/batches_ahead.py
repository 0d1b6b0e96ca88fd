"""Batches that are made while a GPU computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")
AHEAD = 2  # updates; their batches lie in memory


class BatchesAhead(Generic[Item]):
    """Gives the batch of each update, which `make` makes of the update's number alone.

    For a GPU one thread makes the batches of the next updates, in their order; on a CPU, where it would take time from
    the computation, there is none. Batches are the same either way, also after a jump to another update.

    Attributes:
        ahead: how many updates the thread is ahead; 0 for no thread.
    """

    def __init__(self, make: Callable[[int], Item], device: torch.device) -> None:
        self.make = make
        self.ahead = 0 if device.type == "cpu" else AHEAD
        self._first = 0  # the update of the first one that waits
        self._waiting: deque[Future[Item]] = deque()
        self._thread: ThreadPoolExecutor | None = None

    def of(self, update: int) -> Item:
        """Returns the batch of an update. Raises what `make` raised."""
        if not self.ahead:
            return self.make(update)
        if self._thread is None or update != self._first:
            self.close()
            self._thread, self._first = ThreadPoolExecutor(1, "batches"), update
        while len(self._waiting) <= self.ahead:
            self._waiting.append(self._thread.submit(self.make, self._first + len(self._waiting)))
        self._first += 1
        return self._waiting.popleft().result()

    def close(self) -> None:
        """Ends the thread after the batch that it is making; batches that wait are dropped."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        self._thread = None
        self._waiting.clear()
