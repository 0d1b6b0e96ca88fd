"""Pretraining: a generator that yields after every update, resumable to the bit. What is learnt is an objective's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daguan.core.runs import Stopwatch
from daguan.core.seeds import stream_seed
from daguan.core.settings import require
from daguan.data.batches.masking import MaskingSettings, Rows
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
from daguan.training.devices import EngineSettings, require_finite
from daguan.training.objectives.masked_lm import HeldOut, Objective, Plan, Sums, Trained
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.threads import Replicas

CHECKPOINT = "checkpoint.safetensors"
CURVE_POINTS = 50


@dataclass(frozen=True)
class PretrainSettings:
    """tokens: ids to read in all, repeats counted; 0 skips pretraining. objective: what is learnt, from the table in
    the table; empty: the encoder's own (mass, or transformer_xl's causal), else mlm. batch_size: blocks a
    batch; accumulation: batches an update, which is then that of one batch of as many blocks. optimiser: `muon`
    (matrices of the hidden layers by Muon, the rest by AdamW), `adamw` or `radam`. learning_rate: AdamW's or RAdam's;
    muon_learning_rate: Muon's. weight_decay: decoupled (Loshchilov & Hutter 2019, arXiv 1711.05101), on weights of
    linear, embedding and recurrent layers. beta2: of the Adam family (RoBERTa's, Liu et al. 2019, arXiv 1907.11692
    §3.1). warmup: share of the updates. clip: of the gradient's norm, 0 for none (as RoBERTa's released recipe).
    checkpoint_seconds: between saves.

    generator_layers, of rtd and all_tokens: the generator's depth as a share of the encoder's (ELECTRA, arXiv
    2003.10555 §3.2, finds a quarter to a half best). replaced_weight, of rtd: of the encoder's loss beside the
    generator's (§3.1; 50 in its appendix A). fragment, of mass: share of a block that the decoder writes (Song et al.
    2019, arXiv 1905.02450 §4.4, find a half best)."""

    tokens: int = 4_000_000
    objective: str = ""
    batch_size: int = 32
    accumulation: int = 1
    optimiser: str = "muon"
    learning_rate: float = 1e-3
    muon_learning_rate: float = 0.02
    weight_decay: float = 0.01
    beta2: float = 0.98
    warmup: float = 0.06
    clip: float = 1.0
    checkpoint_seconds: float = 30.0
    generator_layers: float = 0.25
    replaced_weight: float = 50.0
    fragment: float = 0.5
    masking: MaskingSettings = field(default_factory=MaskingSettings)

    def __post_init__(self) -> None:
        require("tokens", self.tokens >= 0, "at least 0", self.tokens)
        require("objective", self.objective in ("", *OBJECTIVES), " or ".join(OBJECTIVES), self.objective)
        require("batch_size", self.batch_size >= 1, "at least 1", self.batch_size)
        require("accumulation", self.accumulation >= 1, "at least 1", self.accumulation)
        require("optimiser", self.optimiser in OPTIMISERS, " or ".join(OPTIMISERS), self.optimiser)
        for name in ("beta2", "warmup"):
            require(name, 0 <= getattr(self, name) < 1, "0 to 1", getattr(self, name))
        for name in ("learning_rate", "muon_learning_rate"):
            require(name, getattr(self, name) > 0, "over 0", getattr(self, name))
        for name in ("weight_decay", "clip"):
            require(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        require("generator_layers", 0 < self.generator_layers <= 1, "over 0, at most 1", self.generator_layers)
        require("replaced_weight", self.replaced_weight > 0, "over 0", self.replaced_weight)
        require("fragment", 0 < self.fragment <= 1, "over 0, at most 1", self.fragment)


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
        self.optimisers = build_optimisers(self.model, settings, engine.dtype)
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
