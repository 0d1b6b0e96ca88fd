"""ALBERT (Lan et al. 2020, arXiv 1909.11942): narrow embeddings, weights that layers share, sentence order.

Sides are the modern encoder changed as ALBERT changes BERT (shared_layers.py), as a BERT of this size learns nothing in
so few updates: `all`, `attention`, `ffn` and `none` name what the layers share, `e64` to `e768` the paper's widths of
embeddings, here as shares of the layers' width as there of 768, `e128` where no width is named. `sop` and `nsp` share
all and also learn sentence order or next sentence; `bert` shares nothing and has embeddings as wide as its layers. Each
encoder is pretrained on the same text in as many updates and then becomes a tagger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from daguan.core.settings import setting
from daguan.core.tables import Row
from daguan.experiments.claims.albert_sizes import ALL, ATTENTION, FFN, NONE, parameter_facts
from daguan.experiments.claims.claim import NOT_AVAILABLE, Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.learning import encoder_of, f1_on_test, pretrained, tagged
from daguan.experiments.claims.shared_layers import objective_maker
from daguan.experiments.claims.text import TextClaimSettings, inputs_of, text_of
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.nn.tables import OPTIMISERS
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

WIDTH, NARROW = 768, 128  # of the paper's layers, and of ALBERT's embeddings
MLM, SOP, NSP = "mlm", "mlm+sop", "mlm+nsp"
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Side:
    """One side; `embedding` is the paper's width."""

    shared: str = ALL
    embedding: int = NARROW
    objective: str = MLM
    optimiser: str = "muon"


FEW = {
    ALL: Side(),
    ATTENTION: Side(ATTENTION),
    FFN: Side(FFN),
    NONE: Side(NONE),
    "bert": Side(NONE, WIDTH),
    "sop": Side(objective=SOP),
    "nsp": Side(objective=NSP),
}
FULL = (
    FEW
    | {f"{shared}-e{width}": Side(shared, width) for shared in (ALL, NONE) for width in (64, 256, WIDTH)}
    | {f"{shared}-e{WIDTH}": Side(shared, WIDTH) for shared in (ATTENTION, FFN)}
    | {name: Side(optimiser=name) for name in ("adamw", "lamb")}
)
del FULL[f"{NONE}-e{WIDTH}"]  # it is `bert`


class AlbertSettings(TextClaimSettings):
    """The settings of `reproduce albert`."""

    corpus_lines: int = setting(
        6_000, "Unlabelled lines of people_daily to pretrain on, the first of the file; 0 for all.", ge=0
    )
    layers: int = setting(4, "Layers of the encoder.", ge=1)
    hidden: int = setting(192, "Width of the encoder, a multiple of 64.", gt=0, multiple_of=64)
    tokens: int = setting(300_000, "Tokens to pretrain on, repeats counted.", ge=1)
    batch_size: int = setting(8, "Rows of an update.", ge=1)
    adam_rate: float = setting(3e-3, "Learning rate of AdamW where it trains all weights.", gt=0)
    lamb_rate: float = setting(1e-2, "Learning rate of LAMB.", gt=0)
    epochs: int = setting(4, "Passes over the labelled lines.", ge=1)

    @property
    def encoder(self) -> EncoderSettings:
        return EncoderSettings(
            layers=self.layers, hidden=self.hidden, heads=self.hidden // 32, feed_forward=4 * self.hidden
        )

    def pretrain(self, side: Side) -> PretrainSettings:
        rate = self.lamb_rate if side.optimiser == "lamb" else self.adam_rate
        return PretrainSettings(
            tokens=self.tokens, batch_size=self.batch_size, objective=side.objective, optimiser=side.optimiser,
            learning_rate=rate, muon_learning_rate=0.03,
        )  # fmt: skip


def sides(chosen: AlbertSettings) -> Sequence[str]:
    return [*(FULL if chosen.full else FEW)]


def train(side: str, seed: int, chosen: AlbertSettings) -> Figures:
    """Returns held-out loss, F1 of the tagger, parameters, memory and speed."""
    of, text = FULL[side], text_of(chosen)
    embedding = max(1, round(of.embedding / WIDTH * chosen.hidden))
    made = objective_maker(of.objective, of.shared, embedding)
    trainer, tokens, losses = pretrained(text, "modern", chosen.encoder, chosen.pretrain(of), chosen.engine, seed, made)
    seconds, measured = trainer.watch.seconds, trainer.evaluate()
    model = ModelSettings(encoder="modern", head="crf")
    fine = TrainSettings(epochs=chosen.epochs, encoder_learning_rate=1e-3)
    encoder = encoder_of(trainer, model.encoder_dropout)
    parameters = sum(weight.numel() for weight in encoder.parameters())
    tagger = tagged(text, chosen.encoder, model, fine, chosen.engine, seed, encoder)
    pairs = [one.accuracy for name, one in measured.items() if name != MLM]
    return {
        "loss": losses[-1],
        "f1": f1_on_test(text, tagger, chosen.engine),
        "parameters": parameters,
        "megabytes": memory(trainer) / MEGABYTE,
        "speed": trainer.updates * trainer.tokens_per_update / seconds,
        "tokens": tokens,
        "losses": losses,
        **({"pairs": pairs[0]} if pairs else {}),
    }


def memory(trainer: Pretrainer) -> int:
    """Returns the bytes of the weights, their gradients and the optimisers' state in pretraining."""
    weights = sum(weight.numel() * weight.element_size() for weight in trainer.model.parameters())
    states = [value for one in trainer.optimisers for state in one.state.values() for value in state.values()]
    kept: list[Tensor] = [value for value in states if isinstance(value, Tensor)]
    return 2 * weights + sum(value.numel() * value.element_size() for value in kept)


def plot(parts: Sequence[Part], chosen: AlbertSettings) -> Sequence[Panel]:
    curves = mean_curves(parts, "tokens", "losses")
    sized: dict[str, list[tuple[float, float]]] = {}
    for part in parts:
        sized.setdefault(part.side, []).append((part.figures["parameters"] / MEGABYTE, 100 * part.figures["f1"]))
    few = {side: points for side, points in curves.items() if side in FEW}
    return [
        Panel("Masked language model", "tokens", "held-out loss, nats", few),
        Panel("Taggers", "parameters of the encoder, millions", "span F1, %", sized, mark="point"),
    ]


def rows(chosen: AlbertSettings) -> Sequence[Row]:
    """Returns the rows of tables that sides load by name."""
    optimisers = [OPTIMISERS[name] for name in {side.optimiser for side in FULL.values()}]
    objectives = [OBJECTIVES[name] for name in (MLM, SOP, NSP)]
    return [ENCODERS["modern"], HEADS["crf"], *optimisers, *objectives]


CLAIM = Claim(
    paper="Lan et al. 2020, arXiv 1909.11942, tables 1–5",
    settings=AlbertSettings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("loss", ALL, NONE, 1, "80.1 against 81.6 on average (table 4); no loss is given"),
        Comparison("f1", ALL, NONE, -1, "80.1 against 81.6 (table 4)"),
        Comparison("loss", FFN, ATTENTION, 1, "80.2 against 81.7 (table 4); no loss is given"),
        Comparison("f1", FFN, ATTENTION, -1, "80.2 against 81.7 (table 4)"),
        Comparison("f1", NONE, "bert", -1, "81.6 against 82.3 (table 3)"),
        Comparison("f1", "sop", ALL, 1, "80.1 against 79.0 (table 5)"),
        Comparison("f1", "sop", "nsp", 1, "80.1 against 79.2 (table 5)"),
        Comparison("f1", ALL, f"{ALL}-e64", 1, "80.1 against 79.0 (table 3)"),
        Comparison("f1", ALL, f"{ALL}-e{WIDTH}", 1, "80.1 against 79.8 (table 3)"),
        Comparison("loss", "lamb", "adamw", -1, NOT_AVAILABLE),
    ),
    columns={
        "parameters": Column("parameters, M", 3, 1 / MEGABYTE),
        "loss": Column("held-out loss, nats", 3),
        "pairs": Column("pairs right, %", 1, 100.0),
        "f1": Column("span F1, %", 2, 100.0),
        "speed": Column("tokens/s", 0),
        "megabytes": Column("memory, MB", 1),
    },
    plot=plot,
    facts=lambda chosen: parameter_facts(),
    inputs=inputs_of,
    code=rows,
)
