"""Pretraining: a generator that yields after every update, resumable to the bit. What is learnt is an objective's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daguan.core.runs import Stopwatch
from daguan.core.seeds import stream_seed
from daguan.data.batches.masking import Rows
from daguan.data.batches.packing import Blocks
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import objective_of
from daguan.nn.muon import hidden_matrices
from daguan.nn.optimisers import (
    Group,
    LinearSchedule,
    Options,
    decayed_names,
    load_state_tensors,
    state_tensors,
)
from daguan.nn.tables import OPTIMISERS
from daguan.training.checkpoints import load_state, save_state, under_prefix, with_prefix
from daguan.training.devices import matrix_dtype, require_finite
from daguan.training.engine_settings import EngineSettings
from daguan.training.objectives.masked_lm import HeldOut, Objective, Plan, Sums, Trained
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.threads import Replicas

CHECKPOINT = "checkpoint.safetensors"
CURVE_POINTS = 50


@dataclass(frozen=True, slots=True)
class Update:
    """After an update: how many are done out of how many, ids read so far and in all, and a smoothed loss (nats)."""

    done: int
    updates: int
    tokens: int
    total_tokens: int
    loss: float


class Pretrainer:
    """Everything a pretraining run holds. Iterate `fit()`, then `evaluate()` and `save()`."""

    def __init__(
        self,
        architecture: str,
        encoder: EncoderSettings,
        settings: PretrainSettings,
        engine: EngineSettings,
        blocks: Blocks,
        vocabulary_size: int,
        seed: int,
    ) -> None:
        self.settings = settings
        self.rows = settings.batch_size * settings.accumulation  # an update
        self.tokens_per_update = self.rows * encoder.max_length
        self.updates = max(1, round(settings.tokens / self.tokens_per_update))
        plan = Plan(
            architecture, encoder, blocks, vocabulary_size, settings.masking, settings.generator_layers,
            settings.replaced_weight, settings.fragment, self.rows, self.updates, seed, engine,
        )  # fmt: skip
        torch.manual_seed(stream_seed(seed, "pretrain-weights"))
        row = OBJECTIVES[objective_of(architecture, settings.objective)]
        self.objective: Objective = row.load()(plan)
        self.model: Trained = self.objective.model.train()
        self.replicas = Replicas(self.model, settings.batch_size)
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        self.optimisers = build_optimisers(self.model, settings, matrix_dtype(engine))
        self.schedule = LinearSchedule(self.optimisers, self.updates, settings.warmup)
        self.done = 0
        self.loss = 0.0
        self.curve: list[tuple[int, float]] = []  # (tokens, smoothed loss) at some CURVE_POINTS updates
        self.watch = Stopwatch()

    def fit(self, folder: Path) -> Iterator[Update]:
        """Train from the checkpoint in `folder`, or from the start, to the end; yields after each update.

        Raises:
            DivergenceError: the loss is no number any more.
        """
        if (folder / CHECKPOINT).exists():
            self.load(folder)
        saved = time.monotonic()
        while self.done < self.updates:
            loss = self._update()
            require_finite(loss, self.done)
            smooth = min(0.98, self.done / (self.done + 1))
            self.loss = smooth * self.loss + (1 - smooth) * loss
            self.done += 1
            if self.done % max(1, self.updates // CURVE_POINTS) == 0:
                self.curve.append((self.done * self.tokens_per_update, round(self.loss, 4)))
            if time.monotonic() - saved >= self.settings.checkpoint_seconds:
                self.save_checkpoint(folder)
                saved = time.monotonic()
            yield Update(
                self.done,
                self.updates,
                self.done * self.tokens_per_update,
                self.updates * self.tokens_per_update,
                self.loss,
            )

    def _update(self) -> float:
        self.schedule.set(self.done)
        parts = self.objective.batch(self.done).split(len(self.replicas.models) * self.settings.accumulation)
        loss = sum(self.replicas.map(self._train_on, parts))
        self.replicas.gather_gradients()
        if self.settings.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return loss

    def _train_on(self, model: nn.Module, part: Rows) -> float:
        """Gradients of the part's share of the update's mean loss; returns that share."""
        loss = self.objective.loss(model, part)
        torch.autograd.backward(loss)
        return loss.item()

    def evaluate(self) -> dict[str, HeldOut]:
        """What the objective measures on the held-out text, by name; always the same text and masks."""
        total: dict[str, Sums] = {}
        for measure, parts in self.objective.evaluations():
            for sums in self.replicas.map(torch.no_grad()(measure), parts):
                total |= {name: total.get(name, Sums()) + one for name, one in sums.items()}
        return {name: sums.mean for name, sums in total.items()}

    def save_checkpoint(self, folder: Path) -> None:
        tensors = with_prefix("model", dict(self.model.named_parameters()))
        for index, optimiser in enumerate(self.optimisers):
            tensors |= state_tensors(optimiser, self.names, f"optimiser{index}")
        tensors |= with_prefix("objective", self.objective.state())
        values = {"done": self.done, "loss": self.loss, "curve": self.curve, "seconds": self.watch.seconds}
        save_state(folder / CHECKPOINT, tensors, values)

    def load(self, folder: Path) -> None:
        """Continue exactly where `save_checkpoint` was called. Raises CheckpointError."""
        tensors, values = load_state(folder / CHECKPOINT)
        with torch.no_grad():
            for name, weight in under_prefix("model", tensors).items():
                self.model.get_parameter(name).copy_(weight)
            for name, carried in self.objective.state().items():
                carried.copy_(tensors[f"objective/{name}"])
        for index, optimiser in enumerate(self.optimisers):
            load_state_tensors(optimiser, self.names, f"optimiser{index}", tensors)
        self.done, self.loss = values["done"], values["loss"]
        self.curve = [(tokens, loss) for tokens, loss in values["curve"]]
        self.watch = Stopwatch(values["seconds"])


def build_optimisers(lm: Trained, settings: PretrainSettings, precision: torch.dtype) -> list[Optimizer]:
    """The settings' optimiser over all parameters, each in one group; RoBERTa's ε 1e-6 for the Adam family."""
    decayed = decayed_names(lm)
    groups = [
        Group(
            [parameter for name, parameter in lm.named_parameters() if (name in decayed) == decays],
            settings.learning_rate,
            settings.weight_decay if decays else 0.0,
            settings.muon_learning_rate,
        )
        for decays in (True, False)
    ]
    options = Options((0.9, settings.beta2), 1e-6, hidden_matrices(*lm.encoders), precision)
    optimisers: list[Optimizer] = OPTIMISERS[settings.optimiser].load()(groups, options)
    return optimisers
