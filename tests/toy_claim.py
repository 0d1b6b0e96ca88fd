"""A claim whose sides are drawn at random, to test how claims are run, compared and shown."""

from __future__ import annotations

from daguan.core.seeds import stream
from daguan.core.settings import setting
from daguan.experiments.claims.claim import Claim, ClaimSettings, Column, Comparison, Fact, Panel, mean_curves

TRAINED: list[tuple[str, int]] = []  # in this process, in order
STOPS_AT = 0  # the part whose training is interrupted, counted from 1
EFFECT = {"plain": 0.0, "better": 1.0, "more": 2.0}


class ToySettings(ClaimSettings):
    """Settings of the toy claim."""

    seeds: int = setting(3, "Number of seeds.", ge=1)
    noise: float = setting(0.01, "Standard deviation of a side's score.", ge=0)


def sides(chosen: ToySettings) -> tuple[str, ...]:
    return ("plain", "better", *(("more",) if chosen.full else ()))


def train(side: str, seed: int, chosen: ToySettings) -> dict[str, object]:
    if len(TRAINED) + 1 == STOPS_AT:
        raise KeyboardInterrupt
    TRAINED.append((side, seed))
    score = EFFECT[side] + float(stream(seed, "toy", side).normal(0, 1)) * chosen.noise
    return {"score": score, "step": [1, 10], "curve": [0.0, score]}


train.__module__ = "daguan.experiments.claims.claim"  # keys of parts cover modules of the package alone


def relate(figures: dict[str, dict[str, object]], chosen: ToySettings) -> dict[str, dict[str, object]]:
    return {side: {**own, "gain": own["score"] - figures["plain"]["score"]} for side, own in figures.items()}


CLAIM = Claim(
    paper="Toy et al. 2026, table 1",
    settings=ToySettings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("score", "better", "plain", 1, "2.0 against 1.0"),
        Comparison("gain", "plain", "better", 1),
        Comparison("score", "more", "better", 1),
    ),
    columns={"score": Column("score, %", 1, 100.0), "gain": Column("gain", 2), "absent": Column("absent")},
    plot=lambda parts, chosen: [Panel("Curves", "step", "score", mean_curves(parts, "step", "curve"), log=True)],
    relate=relate,
    facts=lambda chosen: [Fact("parameters", 12.0, "12", True), Fact("layers", 3.0, "4", False, "counts one more")],
)
