"""Fine-tuning one tagger on one fold: a generator that yields after every update, resumable to the bit."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from daguan.batches.collate import Batch, bucketed_order, collate, to_example
from daguan.batches.windows import training_pieces
from daguan.core.runs import Stopwatch
from daguan.core.seeds import stream, stream_seed
from daguan.core.settings import require
from daguan.core.types import Score, Sentence
from daguan.models.tagger import ENCODER
from daguan.nn.ema import WeightEma
from daguan.nn.optimisers import LinearSchedule, decayed_names, load_state_tensors, state_tensors
from daguan.text.scores import span_score
from daguan.training.checkpoints import load_state, save_state, under_prefix, with_prefix
from daguan.training.devices import EngineSettings
from daguan.training.prediction import TrainedTagger, annotate, decode_lines

CHECKPOINT = "checkpoint.safetensors"
NGRAMS = ".ngrams."
LAYER = re.compile(r"encoder\.model\.(?:encoder\.(?:layer|albert_layer_groups)|layers)\.(\d+)\.")  # of each encoder


@dataclass(frozen=True)
class TrainSettings:
    """epochs over the fold's training lines; batch_size: lines an update. encoder_learning_rate, head_learning_rate and
    ngram_learning_rate: AdamW's peaks. layer_decay: each encoder layer's rate is so many times that of the layer above,
    and the embeddings' that of the first layer (Howard & Ruder 2018, arXiv 1801.06146 §3.2). warmup: share of the
    updates. clip: gradient norm. ema_decay: of the averaged weights, which are evaluated and saved. evaluations: how
    many times the whole held-out fold is scored, evenly up to the end; the best of them is kept. checkpoint_seconds:
    between saves."""

    epochs: int = 8
    batch_size: int = 16
    encoder_learning_rate: float = 5e-4
    head_learning_rate: float = 2e-3
    ngram_learning_rate: float = 1e-2
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    ema_decay: float = 0.99
    evaluations: int = 3
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        require("epochs", self.epochs >= 1, "at least 1", self.epochs)
        require("batch_size", self.batch_size >= 1, "at least 1", self.batch_size)
        require("warmup", 0 <= self.warmup < 1, "0 to 1", self.warmup)
        for name in ("encoder_learning_rate", "head_learning_rate", "ngram_learning_rate", "clip"):
            require(name, getattr(self, name) > 0, "over 0", getattr(self, name))
        require("layer_decay", 0 < self.layer_decay <= 1, "over 0, at most 1", self.layer_decay)
        require("weight_decay", self.weight_decay >= 0, "at least 0", self.weight_decay)
        require("ema_decay", 0 <= self.ema_decay < 1, "0 to 1", self.ema_decay)
        require("evaluations", self.evaluations >= 1, "at least 1", self.evaluations)


@dataclass(frozen=True, slots=True)
class Update:
    """After an update: tokens trained on so far and in all, smoothed loss (nats a token), best F1 so far."""

    tokens: int
    total_tokens: int
    loss: float
    best_f1: float | None


class TaggerTrainer:
    """Everything a fine-tuning run holds. Iterate `fit()`; afterwards the model holds the best weights."""

    def __init__(
        self,
        trained: TrainedTagger,
        settings: TrainSettings,
        engine: EngineSettings,
        train: Sequence[Sentence],
        held_out: Sequence[Sentence],
        seed: int,
    ) -> None:
        self.trained, self.settings, self.engine, self.seed = trained, settings, engine, seed
        self.model = trained.tagger.to_device(engine.find_device())
        self.held_out = held_out
        pieces = [training_pieces(sentence, trained.window, trained.overlap) for sentence in train]
        self.lost_entities = sum(lost for _, lost in pieces)
        self.examples = [to_example(piece, trained.vocabulary, trained.scheme) for line, _ in pieces for piece in line]
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        self.optimiser = build_optimiser(self.model, settings)
        self.updates_per_epoch = -(-len(self.examples) // settings.batch_size)
        self.updates = settings.epochs * self.updates_per_epoch
        self.schedule = LinearSchedule([self.optimiser], self.updates, settings.warmup)
        self.ema = WeightEma(self.model, settings.ema_decay)
        self.evaluate_after = {
            round(self.updates * (i + 1) / settings.evaluations) for i in range(settings.evaluations)
        }
        self.best_weights: dict[str, Tensor] = {}
        self.best: Score | None = None
        self.done = self.tokens = 0
        self.loss = 0.0
        self.watch = Stopwatch()

    def fit(self, folder: Path) -> Iterator[Update]:
        """Train from the checkpoint in `folder`, or from the start, to the end; yields after each update."""
        if (folder / CHECKPOINT).exists():
            self.load_checkpoint(folder)
        total = self.settings.epochs * sum(map(len, self.examples))
        saved = time.monotonic()
        while self.done < self.updates:
            batch = self._batch(self.done)
            loss = self._update(batch)
            smooth = min(0.98, self.done / (self.done + 1))
            self.loss = smooth * self.loss + (1 - smooth) * loss
            self.done += 1
            self.tokens += batch.num_tokens
            if self.done in self.evaluate_after:
                self._keep_if_best()
            if time.monotonic() - saved >= self.settings.checkpoint_seconds:
                self.save_checkpoint(folder)
                saved = time.monotonic()
            yield Update(self.tokens, total, self.loss, self.best.f1 if self.best else None)
        with torch.no_grad():
            for name, weight in self.best_weights.items():
                self.model.get_parameter(name).copy_(weight)

    def _batch(self, update: int) -> Batch:
        epoch, within = divmod(update, self.updates_per_epoch)
        if getattr(self, "_order_epoch", None) != epoch:
            self._order_epoch = epoch
            lengths = [len(example) for example in self.examples]
            rng = stream(self.seed, "batch-order", epoch)
            self._order = bucketed_order(lengths, self.settings.batch_size, rng)
        examples = [self.examples[i] for i in self._order[within]]
        return collate(examples, self.engine.length_multiple).to(self.engine.find_device())

    def _update(self, batch: Batch) -> float:
        self.model.train()
        torch.manual_seed(stream_seed(self.seed, "dropout", self.done))
        self.schedule.set(self.done)
        with self.engine.autocast():
            loss = self.model.loss(batch) / batch.num_tokens
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.ema.update(self.model)
        return loss.item()

    def _keep_if_best(self) -> None:
        with self.ema.applied(self.model):
            score = self.evaluate()
        if self.best is None or score.f1 > self.best.f1:
            self.best = score
            self.best_weights = {name: weight.clone() for name, weight in self.ema.shadow.items()}

    def evaluate(self) -> Score:
        """Strict span score over the whole held-out fold."""
        answers = self.trained.marginals(self.held_out, self.engine)
        return span_score(annotate(self.held_out, decode_lines(answers, self.trained.scheme)), self.held_out)

    def save_checkpoint(self, folder: Path) -> None:
        tensors = with_prefix("model", dict(self.model.named_parameters()))
        tensors |= with_prefix("ema", self.ema.shadow) | with_prefix("best", self.best_weights)
        tensors |= state_tensors(self.optimiser, self.names, "optimiser")
        best = [self.best.hits, self.best.predicted, self.best.gold] if self.best else None
        values = {"done": self.done, "tokens": self.tokens, "loss": self.loss, "ema_updates": self.ema.updates}
        save_state(folder / CHECKPOINT, tensors, values | {"best": best, "seconds": self.watch.seconds})

    def load_checkpoint(self, folder: Path) -> None:
        """Continue exactly where `save_checkpoint` was called. Raises CheckpointError."""
        tensors, values = load_state(folder / CHECKPOINT)
        with torch.no_grad():
            for name, weight in under_prefix("model", tensors).items():
                self.model.get_parameter(name).copy_(weight)
            for name, weight in under_prefix("ema", tensors).items():
                self.ema.shadow[name].copy_(weight)
        self.best_weights = under_prefix("best", tensors)
        load_state_tensors(self.optimiser, self.names, "optimiser", tensors)
        self.done, self.tokens, self.loss = values["done"], values["tokens"], values["loss"]
        self.ema.updates = values["ema_updates"]
        self.best = Score(*values["best"]) if values["best"] else None
        self.watch = Stopwatch(values["seconds"])


def build_optimiser(model: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW with a rate for each part, and decay where it belongs. Each parameter is in exactly one group."""
    decayed = decayed_names(model)
    layers = 1 + max((_layer_of(name) for name, _ in model.named_parameters()), default=0)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((_rate_of(name, layers, settings), name in decayed), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, "weight_decay": settings.weight_decay if decays else 0.0}
            for (rate, decays), parameters in groups.items()
        ],
        fused=True,  # a quarter of the loop's time on a CPU
    )


def _rate_of(name: str, layers: int, settings: TrainSettings) -> float:
    if not name.startswith(ENCODER):
        return settings.ngram_learning_rate if NGRAMS in name else settings.head_learning_rate
    above_all = "final_norm" in name
    depth = layers - 1 if above_all else max(0, _layer_of(name))
    return float(settings.encoder_learning_rate * settings.layer_decay ** (layers - 1 - depth))


def _layer_of(name: str) -> int:
    """The number of the encoder layer a parameter belongs to, from 0; −1 for one outside the layers."""
    found = LAYER.match(name)
    return int(found[1]) if found else -1
