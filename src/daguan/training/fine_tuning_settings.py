"""The settings of fine-tuning: its length, optimiser, adversary and evaluation."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from daguan.core.needs import Need, Reader, by_row
from daguan.core.quantity import quantity
from daguan.core.settings import require, setting
from daguan.core.tables import names_in
from daguan.nn.optimiser_settings import OptimiserSettings
from daguan.nn.tables import ADVERSARIES, AVERAGES, OPTIMISERS, SCHEDULES, WITHOUT_MATRICES

WHOLE = -1  # frozen_layers: the whole encoder


class TrainSettings(OptimiserSettings):
    """Fine-tuning of a tagger on a fold. Ranger is optimiser=radam lookahead_steps=6 schedule=flat_cosine beta1=0.95
    warmup=0."""

    READ_WHEN: ClassVar[tuple[Reader, ...]] = (
        by_row("train.optimiser", OPTIMISERS),
        by_row("train.averaging", AVERAGES),
        by_row("train.adversary", ADVERSARIES),
    )

    seed: int = setting(
        0, "A further seed of the order of lines and of dropout, for runs that start from the same weights."
    )
    epochs: int = setting(
        8, "Passes over the fold's training lines, pseudo-labelled ones included (up to pseudo_labels.length).", ge=1
    )
    batch_size: int = setting(16, "Lines in a batch.", ge=1)
    accumulation: int = setting(
        1,
        "Batches in an update, each with its own dropout masks; the update equals that of one batch of all their lines "
        "but for these. Several devices share them (engine.devices).",
        ge=1,
    )
    encoder_learning_rate: float = setting(5e-4, "Peak learning rate of the encoder.", gt=0)
    head_learning_rate: float = setting(2e-3, "Peak learning rate of the head.", gt=0)
    ngram_learning_rate: float = setting(1e-2, "Peak learning rate of the table of n-gram features.", gt=0)
    beta1: float = setting(0.9, "β₁ of the Adam family.", ge=0, lt=1)
    layer_decay: float = setting(
        1.0,
        "Learning rates of an encoder layer as a multiple of those of the layer above; the embeddings have those of "
        "the first layer (Howard & Ruder 2018, arXiv 1801.06146 §3.2).",
        gt=0,
        le=1,
        reads_when=Need(f"train.frozen_layers is not {WHOLE}", lambda whole: whole.train.frozen_layers != WHOLE),
    )
    schedule: str = setting(
        "linear",
        f"How learning rates fall: {names_in(SCHEDULES)}.",
        choices=SCHEDULES,
    )
    warmup: float = setting(0.1, "Share of the updates in which learning rates rise to their peaks.", ge=0, lt=1)
    clip: float = setting(1.0, "Largest norm of the gradient.", gt=0)
    averaging: str = setting(
        "ema",
        f"Which weights are evaluated and saved: {names_in(AVERAGES)}. Under Lookahead they are averages of its slow "
        "weights.",
        choices=AVERAGES,
    )
    ema_decay: float = setting(0.99, "Decay of the moving average.", ge=0, lt=1)
    swa_start: float = setting(0.75, "Share of the run after which the equal average begins.", ge=0, lt=1)
    adversary: str = setting(
        "none",
        "Training against the worst small change of weights, which doubles the cost (see nn/adversary.py): "
        f"{names_in(ADVERSARIES)}.",
        choices=ADVERSARIES,
    )
    fgm_epsilon: float = setting(1.0, "How far fgm moves the embeddings along the gradient.", gt=0)
    awp_epsilon: float = setting(5e-3, "How far awp moves each weight, as a multiple of its norm.", gt=0)
    adversary_start: float = setting(0.0, "Share of the run after which the adversary begins.", ge=0, lt=1)
    frozen_layers: int = setting(
        0,
        "Number of encoder layers, from the lowest, that are not trained, nor are the embeddings; -1 for the whole "
        "encoder.",
        ge=WHOLE,
    )
    frozen_epochs: int = setting(0, "Number of first epochs in which the encoder is not trained.", ge=0)
    evaluations: int = setting(
        1,
        "How often the held-out fold is scored, evenly up to the end; the last weights are saved, whatever they score. "
        "More than one gives `tune` something to prune by.",
        ge=1,
    )
    checkpoint_seconds: float = setting(30.0, "Seconds between two checkpoints.")

    def check(self) -> None:
        most = 0 if self.frozen_layers == WHOLE else self.epochs - 1
        reason = (
            "the whole encoder is frozen"
            if self.frozen_layers == WHOLE
            else f"it trains for {quantity(self.epochs, 'epoch')}"
        )
        require("frozen_epochs", self.frozen_epochs <= most, f"0 to {most}, as {reason}", self.frozen_epochs)
        # a frozen encoder has no trained matrices, and frozen embeddings have no gradient
        self._require_if(self.frozen_layers == WHOLE, "optimiser", WITHOUT_MATRICES)
        self._require_if(self.frozen_layers != 0, "adversary", [name for name in ADVERSARIES if name != "fgm"])

    def _require_if(self, frozen: bool, name: str, choices: Collection[str]) -> None:
        expected, choice = f"{' or '.join(choices)} with train.frozen_layers={self.frozen_layers}", getattr(self, name)
        require(name, not frozen or choice in choices, expected, choice)
