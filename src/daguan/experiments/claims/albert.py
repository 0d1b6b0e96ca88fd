"""ALBERT (Lan et al. 2020, arXiv 1909.11942): narrow embeddings, weights that layers share, sentence order.

Sides are the modern encoder changed as ALBERT changes BERT (shared_layers.py), as a BERT of this size learns nothing in
so few updates: `all`, `attention`, `ffn` and `none` name what the layers share, `e64` to `e768` the paper's widths of
embeddings, here as shares of the layers' width as there of 768, `e128` where no width is named. `sop` and `nsp` share
all and also learn sentence order or next sentence; `bert` shares nothing and has embeddings as wide as its layers. Each
encoder is pretrained on the same text in as many updates and then becomes a tagger. `all-in-time` has as many CPU
seconds as `bert` in place of as many updates, by the seconds of a few updates of both, and so has `wide-in-time`, twice
as wide (table 6 has an ALBERT four times as wide); their numbers of updates depend on the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from daguan.core.settings import setting
from daguan.core.tables import Row
from daguan.experiments.claims.albert_sizes import ALL, ATTENTION, FFN, NONE, parameter_facts
from daguan.experiments.claims.claim import NOT_AVAILABLE, Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.learning import encoder_of, f1_on_test, pretrained, tagged
from daguan.experiments.claims.shared_layers import objective_maker
from daguan.experiments.claims.small_encoders import small_encoder, small_pretraining, small_tuning
from daguan.experiments.claims.text import ClaimText, TextClaimSettings, inputs_of, text_of
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.nn.tables import OPTIMISERS
from daguan.training.loop import WARM_UPDATES
from daguan.training.objectives.base import Objective, Plan
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

WIDTH, NARROW = 768, 128  # of the paper's layers, and of ALBERT's embeddings
MLM, SOP, NSP = "mlm", "mlm+sop", "mlm+nsp"
MEGABYTE = 1_000_000
TIMED_UPDATES = 15  # whose seconds are measured


@dataclass(frozen=True)
class Side:
    """One side.

    Attributes:
        embedding: the paper's width.
        times_as_wide: the layers, as those of the other sides.
        in_time: whether it is pretrained for as many CPU seconds as `bert`.
    """

    shared: str = ALL
    embedding: int = NARROW
    objective: str = MLM
    optimiser: str = "muon"
    times_as_wide: int = 1
    in_time: bool = False


BERT = Side(NONE, WIDTH)
IN_TIME, WIDE = "all-in-time", "wide-in-time"


FEW = {
    ALL: Side(),
    ATTENTION: Side(ATTENTION),
    FFN: Side(FFN),
    NONE: Side(NONE),
    "bert": BERT,
    "sop": Side(objective=SOP),
    IN_TIME: Side(in_time=True),
}
FULL = (
    FEW
    | {"nsp": Side(objective=NSP), WIDE: Side(times_as_wide=2, in_time=True)}
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
    tokens: int = setting(250_000, "Tokens to pretrain on, repeats counted.", ge=1)
    batch_size: int = setting(8, "Rows of an update.", ge=1)
    adam_rate: float = setting(3e-3, "Learning rate of AdamW where it trains all weights.", gt=0)
    lamb_rate: float = setting(1e-2, "Learning rate of LAMB.", gt=0)
    epochs: int = setting(4, "Passes over the labelled lines.", ge=1)

    def encoder(self, side: Side) -> EncoderSettings:
        return small_encoder(side.times_as_wide * self.hidden, self.layers)

    def pretrain(self, side: Side) -> PretrainSettings:
        rate = self.lamb_rate if side.optimiser == "lamb" else self.adam_rate
        return small_pretraining(
            self.tokens, self.batch_size, objective=side.objective, optimiser=side.optimiser, learning_rate=rate
        )

    def maker(self, side: Side) -> Callable[[Plan], Objective]:
        """Returns what makes a side's objective; embeddings are no wider in wider layers."""
        embedding = max(1, round(side.embedding / WIDTH * self.hidden))
        return objective_maker(side.objective, side.shared, embedding)


def sides(chosen: AlbertSettings) -> Sequence[str]:
    return [*(FULL if chosen.full else FEW)]


def train(side: str, seed: int, chosen: AlbertSettings) -> Figures:
    """Returns held-out loss, F1 of the tagger, parameters, memory and speed."""
    of, text = FULL[side], text_of(chosen)
    size, settings = chosen.encoder(of), chosen.pretrain(of)
    if of.in_time:
        share = seconds_an_update(text, BERT, chosen, seed) / seconds_an_update(text, of, chosen, seed)
        settings = settings.replace(tokens=max(1, round(share * settings.tokens)))
    trainer, tokens, losses = pretrained(text, "modern", size, settings, chosen.engine, seed, chosen.maker(of))
    seconds, measured = trainer.watch.seconds, trainer.evaluate()
    model = ModelSettings(encoder="modern", head="crf")
    encoder = encoder_of(trainer, model.encoder_dropout)
    parameters = sum(weight.numel() for weight in encoder.parameters())
    tagger = tagged(text, size, model, small_tuning(chosen.epochs), chosen.engine, seed, encoder)
    pairs = [one.accuracy for name, one in measured.items() if name != MLM]
    return {
        "loss": losses[-1],
        "f1": f1_on_test(text, tagger, chosen.engine),
        "parameters": parameters,
        "updates": trainer.updates,
        "megabytes": memory(trainer) / MEGABYTE,
        "speed": trainer.updates * trainer.tokens_per_update / seconds,
        "tokens": tokens,
        "losses": losses,
        **({"pairs": pairs[0]} if pairs else {}),
    }


def seconds_an_update(text: ClaimText, side: Side, chosen: AlbertSettings, seed: int) -> float:
    """Returns the CPU seconds of an update of a side's pretraining, the median of a few."""
    blocks, entries = text.blocks(chosen.encoder(side).max_length), len(text.vocabulary)
    trainer = Pretrainer(
        "modern", chosen.encoder(side), chosen.pretrain(side), chosen.engine, blocks, entries, seed, chosen.maker(side)
    )
    times = [time.process_time()]
    for update in trainer.steps():
        times.append(time.process_time())
        if update.done == WARM_UPDATES + TIMED_UPDATES:
            break
    taken = [after - before for before, after in pairwise(times)]
    return statistics.median(taken[WARM_UPDATES:] or taken)


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
    paper="Lan et al. 2020, arXiv 1909.11942, tables 1–6",
    settings=AlbertSettings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("loss", ALL, NONE, 1, "80.1 against 81.6 on average (table 4); no loss is given"),
        Comparison("f1", ALL, NONE, -1, "80.1 against 81.6 (table 4)"),
        Comparison("loss", FFN, ATTENTION, 1, "80.2 against 81.7 (table 4); no loss is given"),
        Comparison("f1", FFN, ATTENTION, -1, "80.2 against 81.7 (table 4)"),
        Comparison("f1", NONE, "bert", -1, "81.6 against 82.3 (table 3)"),
        Comparison("f1", ALL, "bert", -1, "80.1 against 82.3 at equal updates (table 2)"),
        Comparison(
            "f1", IN_TIME, "bert", -1, f"{NOT_AVAILABLE} at equal seconds; ALBERT is 1.2 times as fast (table 2)"
        ),
        Comparison("f1", WIDE, "bert", 1, "88.7 against 87.2 of BERT-large in as many hours (table 6)"),
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
        "updates": Column("updates", 0),
        "megabytes": Column("memory, MB", 1),
    },
    plot=plot,
    facts=lambda chosen: parameter_facts(),
    inputs=inputs_of,
    code=rows,
)
