"""Lookahead (Zhang et al. 2019, arXiv 1907.08610): slow weights that follow the fast ones of SGD or of the Adam family.

All sides of a seed start from the same weights and read the same images. The learning rate falls at the same shares of
the run as in the paper's CIFAR-10 experiment (§C.1: epochs 60, 120 and 160 of 200, each by 5). Under Lookahead the slow
weights are evaluated, as the authors' README advises. The full grid has the cycles and steps of their figure 7, and
inner rates over two decades; and `pretrain` and `pretrain+la` pretrain an encoder on people_daily by AdamW.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from daguan.core.errors import DivergenceError
from daguan.core.settings import setting
from daguan.experiments.claims.claim import NOT_AVAILABLE, Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.image_training import Curves, ImageTrainer, evaluated, new_classifier, points_of
from daguan.experiments.claims.images import read_images
from daguan.experiments.claims.learning import pretrained
from daguan.experiments.claims.small_taggers import ENCODER, ImageAndTextSettings, inputs, rows
from daguan.experiments.claims.text import text_of
from daguan.nn.averaging import lent
from daguan.nn.lookahead import Lookahead, current_weights
from daguan.nn.optimisers import Group, Options, new_adamw

MILESTONES = (0.3, 0.6, 0.8)
MOMENTUM, WEIGHT_DECAY, ADAMW_DECAY = 0.9, 5e-4, 0.05
STEPS, ALPHA = 5, 0.5
GRID_STEPS, GRID_ALPHAS = (5, 10, 20), (0.2, 0.5, 0.8)
DECADES = (0.1, 0.316, 3.16, 10.0)  # of the inner rate
AT_RATES = "sgd", "sgd+la"
TEXT = "pretrain"


class LookaheadSettings(ImageAndTextSettings):
    """The settings of `reproduce lookahead`."""

    sgd_rate: float = setting(0.05, "Learning rate of SGD, with momentum 0.9.", gt=0)
    adam_rate: float = setting(3e-3, "Learning rate of Adam and AdamW.", gt=0)


@dataclass(frozen=True)
class Side:
    """One side: `steps` 0 is the inner optimiser alone; its rate is multiplied by `factor`."""

    inner: str
    steps: int = 0
    alpha: float = ALPHA
    factor: float = 1.0


def _plain_and_looking_ahead(inner: str) -> dict[str, Side]:
    return {inner: Side(inner), f"{inner}+la": Side(inner, STEPS)}


FEW = _plain_and_looking_ahead("sgd") | _plain_and_looking_ahead("adamw")
FULL = (
    FEW
    | _plain_and_looking_ahead("adam")
    | _plain_and_looking_ahead(TEXT)
    | {
        f"sgd+la-k{steps}-a{alpha}": Side("sgd", steps, alpha)
        for steps in GRID_STEPS
        for alpha in GRID_ALPHAS
        if (steps, alpha) != (STEPS, ALPHA)
    }
    | {f"{name}-x{factor}": replace(FEW[name], factor=factor) for factor in DECADES for name in AT_RATES}
)


def new_sgd(model: nn.Module, rate: float) -> Optimizer:
    return SGD(model.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


def new_adam(model: nn.Module, rate: float) -> Optimizer:
    return Adam(model.parameters(), lr=rate)


def decoupled_adam(model: nn.Module, rate: float) -> Optimizer:
    (adamw,) = new_adamw([Group(list(model.parameters()), rate, ADAMW_DECAY, 0.0)], Options())
    return adamw


INNER: dict[str, Callable[[nn.Module, float], Optimizer]] = {"sgd": new_sgd, "adam": new_adam, "adamw": decoupled_adam}


def sides(chosen: LookaheadSettings) -> Sequence[str]:
    return [*(FULL if chosen.full else FEW)]


def train(side: str, seed: int, chosen: LookaheadSettings) -> Figures:
    """Returns the curves, the means over the run and the values at its end; of a run that diverges those of chance."""
    of = FULL[side]
    if of.inner == TEXT:
        return pretraining(of, seed, chosen)
    images = read_images(chosen)
    model = new_classifier(images, chosen, seed)
    rate = of.factor * (chosen.sgd_rate if of.inner == "sgd" else chosen.adam_rate)
    optimiser = INNER[of.inner](model, rate)
    if of.steps:
        optimiser = Lookahead(optimiser, of.steps, of.alpha)
    try:
        curves, fast = measured(ImageTrainer(model, [optimiser], images, chosen, seed, milestones=MILESTONES))
    except DivergenceError:
        return {"final_test_loss": math.log(images.classes), "final_error": 1 - 1 / images.classes, "diverged": 1}
    loss, error = evaluated(model, images.test, images.test_labels)
    return {
        **curves.figures(),
        "fast_test_loss": fast,
        "mean_loss": statistics.fmean(curves.train_loss),
        "mean_error": statistics.fmean(curves.test_error),
        "final_loss": curves.train_loss[-1],
        "final_test_loss": loss,
        "final_error": error,
        "jump": jump(curves.test_loss),
        "fast_jump": jump(fast),
        "gain": statistics.fmean(a - b for a, b in zip(fast, curves.test_loss, strict=True)),
    }


def pretraining(of: Side, seed: int, chosen: LookaheadSettings) -> Figures:
    """Returns the held-out loss of a masked language model, and its curve by the slow weights."""
    settings = chosen.pretrain.replace(optimiser="adamw", lookahead_steps=of.steps)
    text = text_of(chosen.text)
    _, tokens, losses = pretrained(text, ENCODER, chosen.encoder, settings, chosen.engine, seed)
    return {"pretrain_loss": losses[-1], "tokens": tokens, "losses": losses}


def jump(losses: Sequence[float]) -> float:
    """Returns how far the test loss moves from a point to the next in the mean, before the learning rate falls."""
    early = losses[: max(2, round(MILESTONES[0] * len(losses)))]
    return statistics.fmean(abs(b - a) for a, b in pairwise(early)) if len(early) > 1 else 0.0


def measured(trainer: ImageTrainer) -> tuple[Curves, list[float]]:
    """Trains to the end; returns the curves of the slow weights and, at the same points, the fast weights' test loss.

    Both are measured just before a synchronisation, when they are furthest apart; without Lookahead they are the same.
    """
    curves, fast = Curves(), list[float]()
    images, labels = trainer.images.test, trainer.images.test_labels
    for _ in points_of(trainer, curves, before=1):
        loss, error = evaluated(trainer.model, images, labels)
        fast.append(loss)
        if isinstance(trainer.optimisers[0], Lookahead):
            with lent(trainer.model, current_weights(trainer.model, trainer.optimisers)):
                loss, error = evaluated(trainer.model, images, labels)
        curves.test_loss.append(loss)
        curves.test_error.append(error)
    return curves, fast


def relate(figures: dict[str, Figures], chosen: LookaheadSettings) -> dict[str, Figures]:
    """Adds, in the full grid, how far the final test loss ranges over two decades of the inner rate."""
    for name in AT_RATES if chosen.full else ():
        losses = [
            own["final_test_loss"] for side, own in figures.items() if side == name or side.startswith(f"{name}-x")
        ]
        figures[name]["range"] = max(losses) - min(losses)
    return figures


def plot(parts: Sequence[Part], chosen: LookaheadSettings) -> Sequence[Panel]:
    few = [part for part in parts if part.side in FEW]
    slow = mean_curves(few, "update", "test_loss")
    fast = {
        f"{side}, fast": points for side, points in mean_curves(few, "update", "fast_test_loss").items() if "+" in side
    }
    panels = [
        Panel("Training loss", "updates", "loss, nats", mean_curves(few, "update", "train_loss")),
        Panel("Test error of the slow weights", "updates", "share of errors", mean_curves(few, "update", "test_error")),
        Panel("Test loss of fast and slow weights", "updates", "loss, nats", slow | fast),
    ]
    if not chosen.full:
        return panels
    of_text = Panel("Pretraining", "tokens", "held-out loss, nats", mean_curves(parts, "tokens", "losses"))
    return [*panels, _rates(parts, chosen), of_text]


def _rates(parts: Sequence[Part], chosen: LookaheadSettings) -> Panel:
    """Returns the panel of the final test loss over the inner rate."""
    series = {}
    for name in AT_RATES:
        by_rate: dict[float, list[float]] = {}
        for part in parts:
            if part.side == name or part.side.startswith(f"{name}-x"):
                rate = chosen.sgd_rate * FULL[part.side].factor
                by_rate.setdefault(rate, []).append(part.figures["final_test_loss"])
        series[name] = [(rate, statistics.fmean(losses)) for rate, losses in sorted(by_rate.items())]
    return Panel("Test loss by the inner rate", "learning rate of SGD", "loss at the end, nats", series, log=True)


CLAIM = Claim(
    paper="Zhang et al. 2019, arXiv 1907.08610, figures 3–6 and table 1",
    settings=LookaheadSettings,
    sides=sides,
    train=train,
    relate=relate,
    comparisons=(
        Comparison("mean_error", "sgd+la", "sgd", -1, f"{NOT_AVAILABLE}; figures 3–5 say that it converges faster"),
        Comparison("final_error", "sgd+la", "sgd", -1, "CIFAR-10 4.73 % against 4.77 % of errors"),
        Comparison("jump", "sgd+la", "sgd", -1, f"{NOT_AVAILABLE}; proposition 2 says that the variance is less"),
        Comparison("gain", "sgd+la", "sgd", 1, f"{NOT_AVAILABLE}; figure 10 says so of a cycle"),
        Comparison("mean_error", "adamw+la", "adamw", -1, NOT_AVAILABLE),
        Comparison("final_error", "adamw+la", "adamw", -1, NOT_AVAILABLE),
        Comparison("pretrain_loss", "pretrain+la", "pretrain", -1, NOT_AVAILABLE),
        Comparison("range", "sgd+la", "sgd", -1, f"{NOT_AVAILABLE}; figure 6 says that it is more robust"),
    ),
    columns={
        "mean_loss": Column("training loss, mean over the run", 3),
        "final_loss": Column("at the end", 3),
        "mean_error": Column("test error, %, mean over the run", 1, 100.0),
        "final_error": Column("test error at the end, %", 1, 100.0),
        "final_test_loss": Column("test loss at the end", 3),
        "jump": Column("jumps of the test loss", 3),
        "fast_jump": Column("jumps of the fast weights", 3),
        "gain": Column("fast minus slow test loss", 4),
        "pretrain_loss": Column("held-out loss of pretraining", 3),
        "range": Column("range of the test loss over the rates", 3),
    },
    plot=plot,
    inputs=inputs,
    code=rows,
)
