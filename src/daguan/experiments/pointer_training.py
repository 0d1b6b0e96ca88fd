"""Training and evaluation of a pointer network on a geometry problem, whose instances are drawn at random."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from daguan.core.files import write_json
from daguan.core.seeds import stream, stream_seed
from daguan.experiments.geometry.polygons import Sequences
from daguan.experiments.geometry.tasks import TASKS, Task, draw_points
from daguan.experiments.pointer_network import ChoosingNetwork, PointerNetwork, pointing_loss
from daguan.experiments.pointer_search import beam_search, tours
from daguan.experiments.pointer_settings import PointingSettings
from daguan.nn.optimisers import Group, Options, new_adamw
from daguan.training.checkpoints import load_state, save_state
from daguan.training.devices import find_device
from daguan.training.loop import Trainer
from daguan.training.threads import Replicas, map_on_threads

WEIGHTS = "model.safetensors"
MODEL_TYPE = "daguan-pointer-network"
HELD_OUT_SEED = 1506
SEARCHED_POINTS = 1 << 14  # number of points in a batch of the beam search


@dataclass(frozen=True, slots=True)
class Update:
    """The report after an update.

    Attributes:
        done: number of finished updates
        share: share of the budget that is used
        loss: moving average of the loss, in nats a choice
    """

    done: int
    share: float
    loss: float


class PointerTrainer(Trainer[Update]):
    """Trains a pointer network. An update's instances depend on the seed and the update's number alone."""

    model: ChoosingNetwork

    def __init__(
        self,
        task: str,
        settings: PointingSettings,
        new_network: Callable[[int], ChoosingNetwork] = PointerNetwork,
    ) -> None:
        """new_network: makes the network for a number of hidden units."""
        self.task, self.settings, self.device = TASKS[task], settings, find_device(settings.engine)
        torch.manual_seed(stream_seed(settings.seed, "pointer-weights"))
        network = new_network(settings.hidden).to(self.device)
        self.replicas = Replicas(network, settings.batch_size)
        group = Group(list(network.parameters()), settings.learning_rate, 0.0, 0.0)
        super().__init__(network, new_adamw([group], Options()), settings.checkpoint_seconds)
        self._cpu_before = -time.process_time()

    @property
    def cpu_seconds(self) -> float:
        """Returns the CPU seconds of all threads, summed over the processes that worked on the run."""
        return self._cpu_before + time.process_time()

    @property
    def share(self) -> float:
        """Returns the share of the budget, updates or minutes, that is used."""
        if self.settings.updates:
            return self.done / self.settings.updates
        return min(1.0, self.watch.seconds / (60 * self.settings.minutes))

    @property
    def finished(self) -> bool:
        return self.share >= 1

    def step(self) -> Tensor:
        (optimiser,) = self.optimisers
        rate = self.settings.learning_rate * rate_at(self.share, self.settings.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses = self.replicas.map(self._train_on, np.array_split(self._draw(self.done), len(self.replicas.models)))
        self.replicas.gather_gradients()
        self.update_weights(self.settings.clip)
        return sum(losses, torch.zeros((), dtype=torch.float64, device=self.device))

    def after_update(self) -> Update:
        return Update(self.done, self.share, self.loss)

    def _draw(self, update: int) -> NDArray[np.float32]:
        rng = stream(self.settings.seed, "instances", update)
        size = int(rng.integers(self.settings.fewest or self.settings.n, self.settings.n + 1))
        return draw_points(rng, self.settings.batch_size, size)

    def _train_on(self, network: nn.Module, points: NDArray[np.float32]) -> Tensor:
        """Compute the gradients of the part's share of the batch's loss and return that share.

        The loss is the mean over instances of the mean over their choices, so that it does not depend on the parts.
        """
        inputs, mask = inputs_of(points, self.device)
        choices = choices_of(self.task.solve(points)).to(self.device)
        logs = network(inputs, mask, choices)
        loss = pointing_loss(logs, choices).sum() / self.settings.batch_size
        torch.autograd.backward(loss)
        return loss.detach().double()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()
        return tensors, values | {"cpu": self.cpu_seconds}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().restore(tensors, values)
        self._cpu_before = values["cpu"] - time.process_time()


def rate_at(share: float, warmup: float) -> float:
    """Returns the learning rate as a share of its peak: it rises linearly in the warm-up and then falls to 0."""
    return min(share / warmup, (1 - share) / (1 - warmup)) if warmup else 1 - share


def choices_of(sequences: Sequences) -> Tensor:
    """Returns the choices (B,S'+1) that `pointer_network` defines, for sequences of points (B,S) with −1 after the end.

    S' is the length of the longest sequence.
    """
    longest = int((sequences >= 0).sum(1).max())
    return nn.functional.pad(torch.from_numpy(sequences[:, :longest]) + 1, (0, 1))


def inputs_of(points: NDArray[np.float32], device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the points (B,N,2) and their mask (B,N), which is true everywhere."""
    return torch.from_numpy(points).to(device), torch.ones(points.shape[:2], dtype=torch.bool, device=device)


def answers(network: ChoosingNetwork, task: Task, points: NDArray[np.float32], beam: int) -> Sequences:
    """Returns the network's answers by beam search: sequences of points (B,S), with −1 after the end.

    For the travelling salesman the search is restricted to tours, as in the paper.
    """
    longest, allowed = task.longest(points.shape[1]), tours if task.is_tour else None
    device = next(network.parameters()).device

    def search(part: NDArray[np.float32]) -> Sequences:
        choices, _ = beam_search(network, *inputs_of(part, device), beam, longest, allowed)
        return np.asarray(choices[:, :longest].cpu().numpy() - 1)

    rows = max(1, SEARCHED_POINTS // points.shape[1])
    parts = [points[low : low + rows] for low in range(0, len(points), rows)]
    return np.concatenate(map_on_threads(search, parts, device))


def held_out(settings: PointingSettings) -> NDArray[np.float32]:
    """Returns the held-out instances, which do not depend on the run's seed."""
    size = settings.tested_points
    return draw_points(stream(HELD_OUT_SEED, "held-out", size), settings.held_out, size)


def save_network(folder: Path, network: PointerNetwork, about: dict[str, Any]) -> None:
    """Write the weights, and a description of the network with `about`."""
    values = {"model_type": MODEL_TYPE, "hidden_size": network.attention.of_keys.in_features, **about}
    write_json(folder / "config.json", values)
    save_state(folder / WEIGHTS, dict(network.named_parameters()), values)


def load_network(folder: Path, device: torch.device) -> PointerNetwork:
    """Returns the network that `save_network` wrote.

    Raises:
        CheckpointError: no network in the folder, or a damaged one.
    """
    tensors, values = load_state(folder / WEIGHTS)
    network = PointerNetwork(values["hidden_size"])
    network.load_state_dict(tensors)
    return network.to(device)
