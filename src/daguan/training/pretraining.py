"""Masked-language-model pretraining: a generator that yields after every update, resumable to the bit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from daguan.batches.masking import Masked, MaskingSettings, mask, places_per_row
from daguan.batches.packing import Blocks
from daguan.core.runs import Stopwatch
from daguan.core.seeds import stream, stream_seed
from daguan.core.settings import require
from daguan.models.encoder_settings import EncoderSettings
from daguan.models.encoders import MaskedLm
from daguan.nn.muon import hidden_matrices
from daguan.nn.optimisers import (
    OPTIMISERS,
    Group,
    LinearSchedule,
    Options,
    decayed_names,
    load_state_tensors,
    state_tensors,
)
from daguan.training.checkpoints import load_state, save_state, under_prefix, with_prefix
from daguan.training.devices import EngineSettings
from daguan.training.threads import Replicas

CHECKPOINT = "checkpoint.safetensors"
CURVE_POINTS = 50
EVALUATION_BLOCKS = 16
EVALUATION_MASKING = MaskingSettings()  # whatever a run trains with, so that losses can be compared


@dataclass(frozen=True)
class PretrainSettings:
    """tokens: ids to read in all, repeats counted; 0 skips pretraining. batch_size: blocks an update.
    optimiser: `muon` (matrices of the hidden layers by Muon, the rest by AdamW), `adamw` or `radam`. learning_rate:
    AdamW's or RAdam's; muon_learning_rate: Muon's. warmup: share of the updates. clip: gradient norm.
    checkpoint_seconds: between saves."""

    tokens: int = 4_000_000
    batch_size: int = 32
    optimiser: str = "muon"
    learning_rate: float = 1e-3
    muon_learning_rate: float = 0.02
    weight_decay: float = 0.01
    warmup: float = 0.06
    clip: float = 1.0
    checkpoint_seconds: float = 30.0
    masking: MaskingSettings = field(default_factory=MaskingSettings)

    def __post_init__(self) -> None:
        require("tokens", self.tokens >= 0, "at least 0", self.tokens)
        require("batch_size", self.batch_size >= 1, "at least 1", self.batch_size)
        require("optimiser", self.optimiser in OPTIMISERS, " or ".join(OPTIMISERS), self.optimiser)
        require("warmup", 0 <= self.warmup < 1, "0 to 1", self.warmup)
        for name in ("learning_rate", "muon_learning_rate", "clip"):
            require(name, getattr(self, name) > 0, "over 0", getattr(self, name))
        require("weight_decay", self.weight_decay >= 0, "at least 0", self.weight_decay)


@dataclass(frozen=True, slots=True)
class Update:
    """After an update: how many are done out of how many, ids read so far and in all, and a smoothed loss (nats)."""

    done: int
    updates: int
    tokens: int
    total_tokens: int
    loss: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Loss (nats) and accuracy at the masked places of the held-out blocks."""

    loss: float
    accuracy: float


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
        self.settings, self.engine, self.blocks, self.seed = settings, engine, blocks, seed
        self.vocabulary_size = vocabulary_size
        self.device = engine.find_device()
        torch.manual_seed(stream_seed(seed, "pretrain-weights"))
        self.model = MaskedLm(architecture, encoder, vocabulary_size).to_device(self.device).train()
        self.replicas = Replicas(self.model, settings.batch_size)
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        self.optimisers = build_optimisers(self.model, settings, engine.dtype)
        self.tokens_per_update = settings.batch_size * encoder.max_length
        self.updates = max(1, round(settings.tokens / self.tokens_per_update))
        self.schedule = LinearSchedule(self.optimisers, self.updates, settings.warmup)
        self.train_blocks, self.held_out_blocks = blocks.split(seed)
        self.places = places_per_row(encoder.max_length, settings.masking.rate)
        self.done = 0
        self.loss = 0.0
        self.curve: list[tuple[int, float]] = []  # (tokens, smoothed loss) at some CURVE_POINTS updates
        self.watch = Stopwatch()

    def fit(self, folder: Path) -> Iterator[Update]:
        """Train from the checkpoint in `folder`, or from the start, to the end; yields after each update."""
        if (folder / CHECKPOINT).exists():
            self.load(folder)
        saved = time.monotonic()
        while self.done < self.updates:
            loss = self._update()
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
        parts = self._batch(self.done).split(len(self.replicas.models))
        loss = sum(self.replicas.map(self._train_on, parts))
        self.replicas.gather_gradients()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return loss

    def _train_on(self, model: nn.Module, part: Masked) -> float:
        """Gradients of the part's share of the update's mean loss; returns that share."""
        loss = self._loss(model, part) / (self.settings.batch_size * self.places)
        torch.autograd.backward(loss)
        return loss.item()

    def _batch(self, update: int) -> Masked:
        """The blocks of an update: the training blocks in a new order each epoch, masked by the update's own stream."""
        size = self.settings.batch_size
        places = np.arange(update * size, (update + 1) * size)
        epochs, within = np.divmod(places, len(self.train_blocks))
        indices = np.array([self._order(int(epoch))[i] for epoch, i in zip(epochs, within, strict=True)])
        ids = self.blocks.take(self.train_blocks[indices])
        return mask(ids, self.vocabulary_size, self.settings.masking, stream(self.seed, "mask", update))

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_order_epoch", None) != epoch:
            self._order_epoch = epoch
            self._order_values = stream(self.seed, "block-order", epoch).permutation(len(self.train_blocks))
        return self._order_values

    def _logits(self, model: nn.Module, masked: Masked) -> Tensor:
        inputs, positions = (torch.from_numpy(array).to(self.device) for array in (masked.inputs, masked.positions))
        with self.engine.autocast():
            logits: Tensor = model(inputs, positions)
        return logits.float()

    def _loss(self, model: nn.Module, masked: Masked) -> Tensor:
        labels = torch.from_numpy(masked.labels).to(self.device)
        return cross_entropy(self._logits(model, masked), labels.flatten(), reduction="sum")

    def evaluate(self) -> HeldOut:
        """On the held-out blocks, always with the same masks."""
        parts = []
        for low in range(0, len(self.held_out_blocks), EVALUATION_BLOCKS):
            ids = self.blocks.take(self.held_out_blocks[low : low + EVALUATION_BLOCKS])
            rng = stream(self.seed, "held-out-mask", low)
            parts.append(mask(ids, self.vocabulary_size, EVALUATION_MASKING, rng))
        losses, hits = zip(*self.replicas.map(self._evaluate_on, parts), strict=True)
        count = sum(part.labels.size for part in parts)
        return HeldOut(sum(losses) / count, sum(hits) / count)

    @torch.no_grad()
    def _evaluate_on(self, model: nn.Module, masked: Masked) -> tuple[float, int]:
        """(summed loss, places guessed right)"""
        logits = self._logits(model, masked)
        labels = torch.from_numpy(masked.labels).flatten().to(self.device)
        loss = cross_entropy(logits, labels, reduction="sum").item()
        return loss, int((logits.argmax(1) == labels).sum())

    def save_checkpoint(self, folder: Path) -> None:
        tensors = with_prefix("model", dict(self.model.named_parameters()))
        for index, optimiser in enumerate(self.optimisers):
            tensors |= state_tensors(optimiser, self.names, f"optimiser{index}")
        values = {"done": self.done, "loss": self.loss, "curve": self.curve, "seconds": self.watch.seconds}
        save_state(folder / CHECKPOINT, tensors, values)

    def load(self, folder: Path) -> None:
        """Continue exactly where `save_checkpoint` was called. Raises CheckpointError."""
        tensors, values = load_state(folder / CHECKPOINT)
        with torch.no_grad():
            for name, weight in under_prefix("model", tensors).items():
                self.model.get_parameter(name).copy_(weight)
        for index, optimiser in enumerate(self.optimisers):
            load_state_tensors(optimiser, self.names, f"optimiser{index}", tensors)
        self.done, self.loss = values["done"], values["loss"]
        self.curve = [(tokens, loss) for tokens, loss in values["curve"]]
        self.watch = Stopwatch(values["seconds"])


def build_optimisers(lm: MaskedLm, settings: PretrainSettings, precision: torch.dtype) -> list[Optimizer]:
    """The settings' optimiser over all parameters, each in one group; RoBERTa's β2 .98 and ε 1e-6 for AdamW."""
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
    options = Options((0.9, 0.98), 1e-6, hidden_matrices(lm.model.base_model), precision)
    return OPTIMISERS[settings.optimiser](groups, options)
