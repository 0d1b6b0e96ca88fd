"""Rehearses the contest: some training lines serve as the test file, and their labels as both boards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.competition.candidates import BOARD_METRIC
from daguan.competition.forecast import Array
from daguan.competition.planner import Planner
from daguan.competition.settings import RehearseSettings
from daguan.core.seeds import stream
from daguan.core.settings import require
from daguan.core.types import Sentence
from daguan.data.folds import unit_of_each_line
from daguan.data.metrics import METRICS
from daguan.data.span_score import count_items


def hide(
    train: Sequence[Sentence], share: float, seed: int, documents: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the line numbers to train on, in order, and those to hide, shuffled; equal texts stay together, and so do
    the lines of a document, if documents (N,) are given.

    Raises:
        ConfigError: the share leaves one side without a line.
    """
    unit = unit_of_each_line(train, documents)
    units = int(unit.max()) + 1
    count = round(share * units)
    what = "distinct lines" if documents is None else "groups of lines"
    require("rehearse.share", 0 < count < units, f"one that divides {units} {what}", share)
    rng = stream(seed, "rehearse", "hide")
    hidden = np.isin(unit, rng.permutation(units)[:count])
    return np.flatnonzero(~hidden), rng.permutation(np.flatnonzero(hidden))


@dataclass(frozen=True)
class HiddenScores:
    """The scores of n candidates on the hidden lines, as only the organisers know them.

    Attributes:
        hits: (n,lines) correct items.
        totals: (n,lines) predicted + gold items.
    """

    hits: NDArray[np.int64]
    totals: NDArray[np.int64]

    @classmethod
    def of(cls, answers: Sequence[Sequence[Sentence]], gold: Sequence[Sentence]) -> HiddenScores:
        items = METRICS[BOARD_METRIC].load()
        theirs = [items(line) for line in gold]
        scores = [[count_items(items(p), g) for p, g in zip(answer, theirs, strict=True)] for answer in answers]
        return cls(
            np.array([[score.hits for score in lines] for lines in scores]),
            np.array([[score.predicted + score.gold for score in lines] for lines in scores]),
        )

    def f1(self, lines: NDArray[np.bool_]) -> Array:
        """Returns (n,) the micro F1 of each candidate on the selected lines; 0/0 is 0."""
        return np.asarray(2 * self.hits[:, lines].sum(1) / np.maximum(self.totals[:, lines].sum(1), 1))


@dataclass(frozen=True)
class Game:
    """One contest as played.

    Attributes:
        days: the submissions of each day.
        public, private: the score of every candidate on either board.
        chosen: the pair chosen by each way of choosing, the better first.
    """

    days: list[list[str]]
    public: dict[str, float]
    private: dict[str, float]
    chosen: dict[str, list[str]]

    def gained(self, way: str) -> tuple[float, float]:
        """Returns the private score of the first choice, and of the better of both."""
        scores = [self.private[name] for name in self.chosen[way]]
        return scores[0], max(scores)


PLANNER, BEST = "the planner", "the best possible"
WAYS: dict[str, Callable[[Game, Mapping[str, float]], Mapping[str, float]]] = {
    "public board alone": lambda game, _: {name: game.public[name] for day in game.days for name in day},
    "out of fold alone": lambda _, out_of_fold: out_of_fold,
    BEST: lambda game, _: game.private,
}


def play(planner: Planner, truth: HiddenScores, dealt: NDArray[np.bool_], days: int) -> Game:
    """Lets the planner send, learn public scores and choose; also chooses the two best by each other way.

    Args:
        truth: scores of the planner's candidates, in its order.
        dealt: (lines,) whether a line is on the public board.
    """
    public, private = (dict(zip(planner.names, truth.f1(on).tolist(), strict=True)) for on in (dealt, ~dealt))
    game = Game([], public, private, {})
    recorded: dict[str, float] = {}
    for _ in range(days):
        game.days.append(list(planner.plan(recorded).send))
        recorded |= {name: public[name] for name in game.days[-1]}
    game.chosen[PLANNER] = list(planner.plan(recorded).choose)
    out_of_fold = {candidate.name: candidate.out_of_fold for candidate in planner.candidates}
    for way, scores_of in WAYS.items():
        scores = scores_of(game, out_of_fold)
        game.chosen[way] = sorted(scores, key=lambda name: (-scores[name], name))[:2]
    return game


def deal(lines: int, public_share: float, seed: int, number: int) -> NDArray[np.bool_]:
    """Returns (lines,) whether a line is on the public board; neither is empty. Raises ConfigError: fewer than two
    lines."""
    require("rehearse.share", lines >= 2, "a share of two lines or more", f"one of {lines}")
    count = min(max(round(public_share * lines), 1), lines - 1)
    dealt = np.zeros(lines, dtype=bool)
    dealt[stream(seed, "rehearse", "deal", number).permutation(lines)[:count]] = True
    return dealt


def rehearse(
    planner: Planner, truth: HiddenScores, public_share: float, settings: RehearseSettings, seed: int
) -> dict[str, Any]:
    """Plays every deal; returns the first game in full, and the mean gain of each way of choosing."""
    lines = truth.hits.shape[1]
    deals = (deal(lines, public_share, seed, number) for number in range(settings.deals))
    games = [play(planner, truth, dealt, settings.days) for dealt in deals]
    first = games[0]
    about = {
        one.name: {"out_of_fold": one.out_of_fold, "public": first.public[one.name], "private": first.private[one.name]}
        for one in planner.candidates
    }
    ways = {way: _summary(games, way) for way in first.chosen}
    return {"candidates": about, "days": first.days, "deals": len(games), "ways": ways}


def _summary(games: Sequence[Game], way: str) -> dict[str, Any]:
    """Returns the private scores of the first choice and of the better of both, in the first game and on average, and
    the mean shortfall of the better from the best possible.
    """
    gained = np.array([game.gained(way) for game in games])
    best = np.array([game.gained(BEST) for game in games])
    first, better = gained.mean(0).tolist()
    return {
        "chosen": games[0].chosen[way],
        "private": gained[0].tolist(),
        "mean_first": first,
        "mean_better": better,
        "mean_short": float((best - gained)[:, 1].mean()),
    }
