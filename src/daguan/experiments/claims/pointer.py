"""Pointer networks (Vinyals et al. 2015, arXiv 1506.03134, tables 1–3): hulls, triangulations and tours.

On hulls of one size the pointer network meets the LSTM with and without attention; one that learns hulls of several
sizes is tested on sizes that it has not seen. All networks have the same number of updates; the paper gives them a
million examples. The paper describes one of its algorithms for tours, A3, which is Christofides'; A1 and A2 are of the
order of n². The nearest neighbour, of that order too, stands in their place, and A3 is not built. Tours here have at
most 12 points, whose shortest tour is found exactly; the paper's go on to 50.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from daguan.core.seeds import stream
from daguan.core.settings import setting
from daguan.experiments.claims.claim import Claim, ClaimSettings, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.geometry.salesman import nearest_neighbour_tours
from daguan.experiments.geometry.tasks import TASKS, draw_points
from daguan.experiments.pointer_network import ChoosingNetwork, PointerNetwork
from daguan.experiments.pointer_settings import PointingSettings
from daguan.experiments.pointer_training import HELD_OUT_SEED, PointerTrainer, answers
from daguan.experiments.sequence_network import SequenceNetwork

CURVE = 20  # points of the curve of the loss


@dataclass(frozen=True)
class Side:
    """A network on a problem.

    Attributes:
        n: points of a training instance, the largest number where `fewest` is over 0.
        tested: the sizes on which it is tested; the first one gives the figures without a size in their names.
        network: pointer, lstm or attention; nearest for the rule in place of a network.
        times: the updates as a multiple of the setting.
    """

    task: str
    n: int
    tested: tuple[int, ...]
    network: str = "pointer"
    fewest: int = 0
    times: int = 1


FEW = {
    "pointer": Side("convex-hull", 5, (5, 10)),
    "attention": Side("convex-hull", 5, (5,), "attention"),
    "lstm": Side("convex-hull", 5, (5,), "lstm"),
    "pointer-5-to-10": Side("convex-hull", 10, (5, 10, 15), fewest=5),
    "delaunay": Side("delaunay", 5, (5,)),
    "tour": Side("tsp", 5, (5,)),
    "nearest-neighbour": Side("tsp", 5, (5,), "nearest"),
}
FULL = {
    "pointer-10": Side("convex-hull", 10, (10,), times=6),
    "attention-10": Side("convex-hull", 10, (10,), "attention", times=6),
    "lstm-10": Side("convex-hull", 10, (10,), "lstm", times=6),
    "pointer-5-to-50": Side("convex-hull", 50, (5, 10, 50, 100), fewest=5, times=6),
    "delaunay-10": Side("delaunay", 10, (10,), times=6),
    "tour-5-to-10": Side("tsp", 10, (5, 10), fewest=5, times=3),
    "tour-10": Side("tsp", 10, (10,), times=3),
    "nearest-neighbour-10": Side("tsp", 10, (10,), "nearest"),
}
SIDES = FEW | FULL


class PointerSettings(ClaimSettings):
    """The settings of `reproduce pointer`."""

    updates: int = setting(2_000, "Updates of each network on five points; others have multiples of it.", ge=1)
    hidden: int = setting(128, "Units of all LSTMs and of the attention.", ge=1)
    batch_size: int = setting(256, "Instances in an update.", ge=1)
    learning_rate: float = setting(6e-3, "Peak learning rate; it falls linearly to 0.", gt=0)
    beam: int = setting(4, "Width of the beam search in evaluation.", ge=1)
    tested: int = setting(2_000, "Held-out instances of each size.", ge=1)


def sides(chosen: PointerSettings) -> Sequence[str]:
    return [*FEW, *(FULL if chosen.full else ())]


def train(side: str, seed: int, chosen: PointerSettings) -> Figures:
    """Returns the paper's figures on held-out instances, and the curve of the training loss."""
    about = SIDES[side]
    if about.network == "nearest":
        return _tested(about, chosen, nearest_neighbour_tours)
    settings = PointingSettings(
        n=about.n, fewest=about.fewest, updates=about.times * chosen.updates, seed=seed, hidden=chosen.hidden,
        batch_size=chosen.batch_size, learning_rate=chosen.learning_rate, threads=chosen.threads, device=chosen.device,
    )  # fmt: skip
    trainer = PointerTrainer(about.task, settings, _networks(about)[about.network])
    wanted = {round(settings.updates * point / CURVE) for point in range(1, CURVE + 1)}
    curve = [(update.done, update.loss) for update in trainer.steps() if update.done in wanted]
    figures = _tested(about, chosen, partial(answers, trainer.model, TASKS[about.task], beam=chosen.beam))
    return figures | {"updates": [done for done, _ in curve], "losses": [loss for _, loss in curve]}


def _networks(about: Side) -> dict[str, Callable[[int], ChoosingNetwork]]:
    return {
        "pointer": PointerNetwork,
        "attention": partial(SequenceNetwork, points=about.n, attends=True),
        "lstm": partial(SequenceNetwork, points=about.n, attends=False),
    }


def _tested(about: Side, chosen: PointerSettings, answer: Callable[..., np.ndarray]) -> Figures:
    """Returns the figures of answers to instances of each size: of the first size by the name of the figure, of all by
    `NAME_SIZE`."""
    figures: Figures = {}
    task = TASKS[about.task]
    for size in about.tested:
        points = draw_points(stream(HELD_OUT_SEED, "held-out", size), chosen.tested, size)
        found = task.measure(points, answer(points=points), task.solve(points))
        figures |= {f"{name}_{size}": value for name, value in found.items()}
    first = about.tested[0]
    return figures | {
        name.removesuffix(f"_{first}"): figures[name] for name in [*figures] if name.endswith(f"_{first}")
    }


def plot(parts: Sequence[Part], chosen: PointerSettings) -> Sequence[Panel]:
    curves = mean_curves(parts, "updates", "losses")
    hulls = {side: points for side, points in curves.items() if SIDES[side].task == "convex-hull"}
    return [
        Panel("Hulls", "updates", "training loss, nats a choice", hulls),
        Panel("Other problems", "updates", "training loss, nats a choice", {
            side: points for side, points in curves.items() if side not in hulls
        }),
    ]  # fmt: skip


CLAIM = Claim(
    paper="Vinyals et al. 2015, arXiv 1506.03134, tables 1 to 3",
    settings=PointerSettings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("accuracy", "pointer", "lstm", 1, "n = 5: 92.0 % (trained on 5 to 50) against 87.7 % (table 1)"),
        Comparison("accuracy", "pointer", "attention", 1, "n = 50: 72.6 % against 38.9 % (table 1)"),
        Comparison("accuracy", "attention", "lstm", 1, "n = 50: 38.9 % against 1.9 % (table 1)"),
        Comparison("accuracy_10", "pointer-5-to-10", "pointer", 1, "87.0 % trained on 5 to 50 (table 1)"),
        Comparison("length", "tour", "nearest-neighbour", -1, "2.12 against 2.18 of A1, optimum 2.12 (table 3)"),
        Comparison("accuracy", "pointer-10", "lstm-10", 1, "87.0 % (trained on 5 to 50) against 29.9 % (table 1)"),
        Comparison("accuracy", "pointer-10", "attention-10", 1, "n = 50: 72.6 % against 38.9 % (table 1)"),
        Comparison("accuracy", "delaunay", "delaunay-10", 1, "80.7 % against 22.6 % (table 2)"),
        Comparison("length", "tour-10", "nearest-neighbour-10", -1, "2.88 against 3.07 of A1, optimum 2.87 (table 3)"),
    ),
    columns={
        "accuracy": Column("right %", factor=100),
        "accuracy_10": Column("right at n = 10 %", factor=100),
        "area": Column("area %", factor=100),
        "simple": Column("simple polygons %", factor=100),
        "coverage": Column("triangles %", factor=100),
        "length": Column("tour", digits=3),
        "optimum": Column("shortest tour", digits=3),
    },
    plot=plot,
)
