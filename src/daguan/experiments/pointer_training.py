"""A pointer network learns a geometry problem on instances made on the fly, for so many minutes or updates."""

from __future__ import annotations

import time
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
from daguan.experiments.pointer_network import PointerNetwork, pointing_loss
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
SEARCHED_POINTS = 1 << 14  # at a time


@dataclass(frozen=True, slots=True)
class Update:
    """done: updates finished; share: of the budget; loss: smoothed, nats a choice."""

    done: int
    share: float
    loss: float


class PointerTrainer(Trainer[Update]):
    """Training of one network. Instances of an update depend on the seed and the update's number alone."""

    model: PointerNetwork

    def __init__(self, task: str, settings: PointingSettings) -> None:
        self.task, self.settings, self.device = TASKS[task], settings, find_device(settings.engine)
        torch.manual_seed(stream_seed(settings.seed, "pointer-weights"))
        network = PointerNetwork(settings.hidden).to(self.device)
        self.replicas = Replicas(network, settings.batch_size)
        group = Group(list(network.parameters()), settings.learning_rate, 0.0, 0.0)
        super().__init__(network, new_adamw([group], Options()), settings.checkpoint_seconds)
        self._cpu_before = -time.process_time()

    @property
    def cpu_seconds(self) -> float:
        """Of all threads, over all processes that worked on the run."""
        return self._cpu_before + time.process_time()

    @property
    def share(self) -> float:
        """How much of the budget is used."""
        if self.settings.updates:
            return self.done / self.settings.updates
        return min(1.0, self.watch.seconds / (60 * self.settings.minutes))

    @property
    def finished(self) -> bool:
        return self.share >= 1

    def step(self) -> float:
        (optimiser,) = self.optimisers
        rate = self.settings.learning_rate * rate_at(self.share, self.settings.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses = self.replicas.map(self._train_on, np.array_split(self._draw(self.done), len(self.replicas.models)))
        self.replicas.gather_gradients()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return sum(losses)

    def after_update(self) -> Update:
        return Update(self.done, self.share, self.loss)

    def _draw(self, update: int) -> NDArray[np.float32]:
        rng = stream(self.settings.seed, "instances", update)
        size = int(rng.integers(self.settings.fewest or self.settings.n, self.settings.n + 1))
        return draw_points(rng, self.settings.batch_size, size)

    def _train_on(self, network: nn.Module, points: NDArray[np.float32]) -> float:
        """Gradients of the part's share of the batch's loss: the mean over instances of the mean over their choices, so
        that it does not matter how a batch is parted. Returns that share."""
        inputs, mask = inputs_of(points, self.device)
        choices = choices_of(self.task.solve(points)).to(self.device)
        logs = network(inputs, mask, choices)
        loss = pointing_loss(logs, choices).sum() / self.settings.batch_size
        torch.autograd.backward(loss)
        return loss.item()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()
        return tensors, values | {"cpu": self.cpu_seconds}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().restore(tensors, values)
        self._cpu_before = values["cpu"] - time.process_time()


def rate_at(share: float, warmup: float) -> float:
    """The share of the peak rate when that share of the budget is used: up linearly over the warm-up, down to 0."""
    return min(share / warmup, (1 - share) / (1 - warmup)) if warmup else 1 - share


def choices_of(sequences: Sequences) -> Tensor:
    """(B,S) of point indices, −1 after the end → (B,S'+1) of choices: `pointer_network` says what they are. As wide as
    the longest needs."""
    longest = int((sequences >= 0).sum(1).max())
    return nn.functional.pad(torch.from_numpy(sequences[:, :longest]) + 1, (0, 1))


def inputs_of(points: NDArray[np.float32], device: torch.device) -> tuple[Tensor, Tensor]:
    """The points (B,N,2) and their mask (B,N), all true."""
    return torch.from_numpy(points).to(device), torch.ones(points.shape[:2], dtype=torch.bool, device=device)


def answers(network: PointerNetwork, task: Task, points: NDArray[np.float32], beam: int) -> Sequences:
    """What the network answers by beam search: (B,S) of point indices, −1 after the end. Tours are searched among
    tours alone, as in the paper."""
    longest, allowed = task.longest(points.shape[1]), tours if task.is_tour else None
    device = network.start.device

    def search(part: NDArray[np.float32]) -> Sequences:
        choices, _ = beam_search(network, *inputs_of(part, device), beam, longest, allowed)
        return np.asarray(choices[:, :longest].cpu().numpy() - 1)

    rows = max(1, SEARCHED_POINTS // points.shape[1])
    parts = [points[low : low + rows] for low in range(0, len(points), rows)]
    return np.concatenate(map_on_threads(search, parts, device))


def held_out(settings: PointingSettings) -> NDArray[np.float32]:
    """The same instances for every run, whatever its seed."""
    return draw_points(stream(HELD_OUT_SEED, "held-out", settings.n), settings.held_out, settings.n)


def save_network(folder: Path, network: PointerNetwork, about: dict[str, Any]) -> None:
    """Write the weights, and what they are in words."""
    values = {"model_type": MODEL_TYPE, "hidden_size": network.attention.of_keys.in_features, **about}
    write_json(folder / "config.json", values)
    save_state(folder / WEIGHTS, dict(network.named_parameters()), values)


def load_network(folder: Path, device: torch.device) -> PointerNetwork:
    """The inverse of `save_network`. Raises CheckpointError: no such network, or damaged."""
    tensors, values = load_state(folder / WEIGHTS)
    network = PointerNetwork(values["hidden_size"])
    network.load_state_dict(tensors)
    return network.to(device)
