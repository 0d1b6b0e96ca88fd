"""The settings of fine-tuning: how long, by which optimiser, against what, and which weights are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daguan.core.settings import Need, require
from daguan.nn.lookahead import MOMENTA
from daguan.nn.tables import ADVERSARIES, AVERAGES, OPTIMISERS, SCHEDULES

WHOLE = -1  # frozen_layers: the encoder as it is


@dataclass(frozen=True)
class TrainSettings:
    """seed: a further number of the order of lines and of dropout, for runs with the same first weights. epochs over
    the fold's training lines, pseudo-labelled ones too; batch_size: lines an update. evaluations: how many times the
    whole held-out fold is scored, evenly up to the end; the best of them is kept. patience: stop after so many
    evaluations in a row that were no better than the best, 0 never. checkpoint_seconds: between saves.

    optimiser: adamw, radam (Liu et al. 2020, arXiv 1908.03265, with decoupled decay) or muon (the matrices inside the
    encoder's layers by Muon, the rest by AdamW). encoder_learning_rate, head_learning_rate, ngram_learning_rate: peaks;
    muon_learning_rate: Muon's. beta1, beta2: of the Adam family. layer_decay: each encoder layer's rates are so many
    times those of the layer above, and the embeddings' that of the first layer (Howard & Ruder 2018, arXiv 1801.06146
    §3.2). weight_decay: as in `pretrain`. schedule: linear, or flat_cosine (at the peak for 75 % of the updates, then
    half a cosine). warmup: share of the updates. clip: gradient norm. lookahead_steps: inner steps between two
    synchronisations of Lookahead (Zhang et al. 2019, arXiv 1907.08610), 0 for none; what follows the last one does not
    count. lookahead_alpha: the slow weights' part of the way; lookahead_momentum: maintain, reset or pullback (see
    nn/lookahead.py). Ranger is optimiser=radam lookahead_steps=6 schedule=flat_cosine beta1=0.95 warmup=0.

    averaging: which weights are evaluated and saved: ema (a moving average with ema_decay; Kingma & Ba 2015, arXiv
    1412.6980 §7.2), swa (the equal average of those after each update from swa_start, a share of the run, on; Izmailov
    et al. 2018, arXiv 1803.05407) or none (the last). Under Lookahead all three are of its slow weights.

    adversary: none, fgm (embeddings moved by fgm_epsilon along the gradient; Miyato et al. 2017, arXiv 1605.07725 §3)
    or awp (each weight moved by awp_epsilon times its norm; Wu et al. 2020, arXiv 2004.05884 §4), see nn/adversary.py
    for both, which double the cost; adversary_start: from which share of the run.

    frozen_layers: the lowest so many encoder layers and the embeddings are not trained, -1 for the whole encoder.
    frozen_epochs: the encoder is not trained in the first so many."""

    seed: int = 0
    epochs: int = 8
    batch_size: int = 16
    optimiser: str = "adamw"
    encoder_learning_rate: float = 5e-4
    head_learning_rate: float = 2e-3
    ngram_learning_rate: float = 1e-2
    muon_learning_rate: float = 5e-3
    beta1: float = 0.9
    beta2: float = 0.999
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    schedule: str = "linear"
    warmup: float = 0.1
    clip: float = 1.0
    lookahead_steps: int = 0
    lookahead_alpha: float = 0.5
    lookahead_momentum: str = "maintain"
    averaging: str = "ema"
    ema_decay: float = 0.99
    swa_start: float = 0.75
    adversary: str = "none"
    fgm_epsilon: float = 1.0
    awp_epsilon: float = 5e-3
    adversary_start: float = 0.0
    frozen_layers: int = 0
    frozen_epochs: int = 0
    evaluations: int = 3
    patience: int = 0
    checkpoint_seconds: float = 30.0
    NEEDS: ClassVar[tuple[Need[TrainSettings], ...]] = (
        # not encoder_learning_rate and ngram_learning_rate, which presets set
        Need("muon_learning_rate", "train.optimiser is muon", lambda made: made.optimiser == "muon"),
        Need("layer_decay", f"train.frozen_layers is not {WHOLE}", lambda made: made.frozen_layers != WHOLE),
        Need("lookahead_alpha", "train.lookahead_steps is over 0", lambda made: made.lookahead_steps > 0),
        Need("lookahead_momentum", "train.lookahead_steps is over 0", lambda made: made.lookahead_steps > 0),
        Need("ema_decay", "train.averaging is ema", lambda made: made.averaging == "ema"),
        Need("swa_start", "train.averaging is swa", lambda made: made.averaging == "swa"),
        Need("fgm_epsilon", "train.adversary is fgm", lambda made: made.adversary == "fgm"),
        Need("awp_epsilon", "train.adversary is awp", lambda made: made.adversary == "awp"),
        Need("adversary_start", "train.adversary is fgm or awp", lambda made: made.adversary != "none"),
    )

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "evaluations"):
            require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        for name in ("warmup", "ema_decay", "swa_start", "adversary_start", "beta1", "beta2"):
            require(name, 0 <= getattr(self, name) < 1, "0 to 1", getattr(self, name))
        for name in ("encoder_learning_rate", "head_learning_rate", "ngram_learning_rate", "muon_learning_rate",
                     "clip", "fgm_epsilon", "awp_epsilon"):  # fmt: skip
            require(name, getattr(self, name) > 0, "over 0", getattr(self, name))
        for name in ("layer_decay", "lookahead_alpha"):
            require(name, 0 < getattr(self, name) <= 1, "over 0, at most 1", getattr(self, name))
        for name in ("weight_decay", "lookahead_steps", "patience"):
            require(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        for name, known in CHOICES.items():
            require(name, getattr(self, name) in known, " or ".join(known), getattr(self, name))
        require("patience", self.patience < self.evaluations, "less than train.evaluations", self.patience)
        self._require_what_is_trained()

    def _require_what_is_trained(self) -> None:
        require("frozen_layers", self.frozen_layers >= WHOLE, "at least -1", self.frozen_layers)
        most = 0 if self.frozen_layers == WHOLE else self.epochs - 1
        reason = "the whole encoder is frozen" if self.frozen_layers == WHOLE else f"there are {self.epochs} epochs"
        require("frozen_epochs", 0 <= self.frozen_epochs <= most, f"0 to {most}, as {reason}", self.frozen_epochs)
        for name, choice in (("optimiser", "muon"), ("adversary", "fgm")):
            self._require_unfrozen(name, choice)

    def _require_unfrozen(self, name: str, choice: str) -> None:
        """Muon has nothing to move in a frozen encoder, and frozen embeddings no gradient."""
        left = self.frozen_layers != WHOLE if choice == "muon" else self.frozen_layers == 0
        others = " or ".join(other for other in CHOICES[name] if other != choice)
        expected = f"{others} with train.frozen_layers={self.frozen_layers}"
        require(name, left or getattr(self, name) != choice, expected, choice)


CHOICES = {
    "optimiser": tuple(OPTIMISERS),
    "schedule": tuple(SCHEDULES),
    "lookahead_momentum": MOMENTA,
    "averaging": tuple(AVERAGES),
    "adversary": tuple(ADVERSARIES),
}
