"""The resumable training loop shared by pretraining, fine-tuning and the pointer networks."""

from __future__ import annotations

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daguan.core.errors import StoppedError
from daguan.core.runs import CHECKPOINT, Stopwatch
from daguan.nn.averaging import copy_into
from daguan.nn.optimisers import load_state_tensors, state_tensors
from daguan.nn.shares import whole_weights
from daguan.training import ranks
from daguan.training.checkpoints import load_state, save_state, under_prefix, with_prefix
from daguan.training.devices import require_finite

SMOOTHING = 0.98  # decay of the average of the losses
READ_AFTER = 16  # updates on a GPU: who reads a loss waits for all that the GPU has yet to do
WARM_UPDATES, MEASURED_SECONDS = 5, 5.0  # before the speed is measured, and while it is
Report = TypeVar("Report")


class Trainer(ABC, Generic[Report]):
    """A training run that a checkpoint resumes to the bit. A subclass does one update and names any further state.

    Attributes:
        model: the network in training
        optimisers: all optimisers of the model's parameters
        names: name of each parameter
        done: number of finished updates
        loss: moving average of the losses that have been read, reported in place of each update's own
        read_after: number of updates after which their losses are read and checked; until then they stay on the device
        watch: seconds of training, summed over the processes that worked on the run
    """

    def __init__(self, model: nn.Module, optimisers: list[Optimizer], checkpoint_seconds: float) -> None:
        self.model = model
        self.optimisers = optimisers
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
        self.done = 0
        self.loss = 0.0
        self.read_after = 1 if next(model.parameters()).device.type == "cpu" else READ_AFTER
        self._unread: list[Tensor] = []
        self.watch = Stopwatch()
        self._checkpoint_seconds = checkpoint_seconds

    @property
    def rate(self) -> float:
        """The highest learning rate of the last update."""
        return max(float(group["lr"]) for optimiser in self.optimisers for group in optimiser.param_groups)

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Returns whether all updates are done."""

    @abstractmethod
    def step(self) -> Tensor:
        """Do the next update, number `done` counted from 0, and return its loss (), or this rank's share of it, in
        float64."""

    @abstractmethod
    def after_update(self) -> Report:
        """Evaluate if it is due and return a report; `done` already counts the update."""

    def update_weights(self, clip: float) -> None:
        """Clip the gradients at the norm `clip` (0 does not clip), step the optimisers and clear the gradients."""
        if clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        for optimiser in self.optimisers:
            optimiser.step()
        self.clear_gradients()

    def clear_gradients(self) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns the tensors and the plain values that a checkpoint contains. Raises DivergenceError."""
        self.read_losses()
        tensors = with_prefix("model", whole_weights(dict(self.model.named_parameters())))
        for index, optimiser in enumerate(self.optimisers):
            tensors |= state_tensors(optimiser, self.names, f"optimiser{index}")
        return tensors, {"done": self.done, "loss": self.loss, "seconds": self.watch.seconds}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        copy_into(self.model, under_prefix("model", tensors))
        for index, optimiser in enumerate(self.optimisers):
            load_state_tensors(optimiser, self.names, f"optimiser{index}", tensors)
        self.done, self.loss = values["done"], values["loss"]
        self.watch = Stopwatch(values["seconds"])

    def steps(self) -> Iterator[Report]:
        """Train to the end and yield a report after each update; nothing is read or written.

        Raises:
            DivergenceError: the loss is not finite.
        """
        try:
            while not self.finished:
                self._unread.append(self.step())
                self.done += 1
                if self.done % self.read_after == 0 or self.finished:
                    self.read_losses()
                yield self.after_update()
            self.read_losses()
        finally:
            self.close()

    def read_losses(self) -> None:
        """Waits for all updates so far, checks their losses and takes them into the average. Raises DivergenceError."""
        if not self._unread:
            return
        losses = ranks.sums_of(torch.stack(self._unread).tolist())
        self._unread.clear()
        for update, loss in enumerate(losses, self.done - len(losses)):
            require_finite(loss, update)
            smoothing = min(SMOOTHING, update / (update + 1))
            self.loss = smoothing * self.loss + (1 - smoothing) * loss

    def close(self) -> None:
        """Ends what works beside the updates."""
        return

    def fit(self, folder: Path) -> Iterator[Report]:
        """Train as `steps` does, starting from the checkpoint in `folder` if there is one, and save checkpoints there.

        Raises:
            DivergenceError: the loss is not finite.
            CheckpointError: the checkpoint is damaged.
            StoppedError: SIGTERM or SIGINT arrived; the current update was finished and a checkpoint saved.
        """
        if (folder / CHECKPOINT).exists():
            self.load_checkpoint(folder)
        saved = time.monotonic()
        with deferred_signals() as arrived:
            for report in self.steps():
                if ranks.any_rank(ranks.is_first() and time.monotonic() - saved >= self._checkpoint_seconds):
                    self.save_checkpoint(folder)
                    saved = time.monotonic()
                yield report
                if ranks.any_rank(bool(arrived)):  # all stop after the same update
                    self.save_checkpoint(folder)
                    raise StoppedError(f"stopped after update {self.done}; the same command continues")

    def save_checkpoint(self, folder: Path) -> None:
        state = self.state()
        if ranks.is_first():
            save_state(folder / CHECKPOINT, *state)

    def load_checkpoint(self, folder: Path) -> None:
        """Raises CheckpointError."""
        self.restore(*load_state(folder / CHECKPOINT))


def updates_a_second(trainer: Trainer[Any]) -> float:
    """Returns the speed of a trainer, which is of no use afterwards: its first seconds without its very first updates,
    which prepare what later ones use. Where it has no others, the last one tells it."""
    begun, first = time.monotonic(), 0
    for _ in trainer.steps():
        if trainer.done <= WARM_UPDATES and not trainer.finished:
            trainer.read_losses()  # waits for a GPU
            begun, first = time.monotonic(), trainer.done
        elif ranks.any_rank(time.monotonic() - begun >= MEASURED_SECONDS):
            break
    trainer.read_losses()
    return (trainer.done - first) / max(1e-9, time.monotonic() - begun)


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Yields a list to which each SIGTERM and SIGINT is appended instead of ending the process.

    A second SIGINT raises KeyboardInterrupt. Signals that the process ignores stay ignored.
    """
    arrived: list[int] = []

    def record(number: int, _: object) -> None:
        if number == signal.SIGINT and number in arrived:
            raise KeyboardInterrupt
        arrived.append(number)

    handled = [number for number in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(number) != signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():  # no other thread may set handlers
        handled = []
    previous = {number: signal.signal(number, record) for number in handled}
    try:
        yield arrived
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
