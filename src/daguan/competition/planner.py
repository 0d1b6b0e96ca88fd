"""Plans a day of the contest: expected scores, the submissions to send, and the final choice as of now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr

from daguan.competition.candidates import Candidate, Z, agreement
from daguan.competition.forecast import Array, Forecast, LineCounts, prior_forecast
from daguan.competition.settings import PlanSettings
from daguan.core.seeds import stream

DRAWS = 1000
TINY = 1e-12  # replaces a standard deviation of 0
FEWEST = 3  # pairs of scores for a meaningful correlation


@dataclass(frozen=True)
class Outlook:
    """The expected scores of a candidate.

    Attributes:
        candidate: the candidate.
        recorded: its public score, if known.
        public: its expected public score.
        interval: the 95 % interval of that score.
        private: its expected private score.
        nearest: the sent submission that agrees most, and the span F1 between both.
        improvement: the probability that it beats the best recorded score.
    """

    candidate: Candidate
    recorded: float | None
    public: float
    interval: tuple[float, float]
    private: float
    nearest: tuple[str, float] | None
    improvement: float | None


@dataclass(frozen=True)
class Plan:
    """The plan of a day.

    Attributes:
        outlooks: of all candidates, by name.
        send: names, the most valuable first.
        choose: up to two names of sent submissions, the better first.
        correlation: Pearson's and Spearman's, of out-of-fold scores with recorded ones.
    """

    outlooks: tuple[Outlook, ...]
    send: tuple[str, ...]
    choose: tuple[str, ...]
    correlation: tuple[float, float] | None


class Planner:
    """Plans for candidates with distinct names, given any recorded scores."""

    def __init__(self, candidates: Sequence[Candidate], lines: LineCounts, settings: PlanSettings) -> None:
        self.candidates = sorted(candidates, key=lambda candidate: candidate.name)
        self.names = [candidate.name for candidate in self.candidates]
        self.submissions = settings.submissions
        self.agreements = agreement(self.candidates)
        self.forecast = prior_forecast(self.candidates, self.agreements, lines, settings)

    def plan(self, recorded: Mapping[str, float]) -> Plan:
        """Returns the plan; recorded scores of unknown names are ignored."""
        known = {i: recorded[name] for i, name in enumerate(self.names) if name in recorded}
        sent, scores = list(known), list(known.values())
        forecast = self.forecast.given(sent, scores)
        return Plan(
            tuple(self._outlook(i, forecast, known) for i in range(len(self.names))),
            tuple(self.names[i] for i in to_send(forecast, sent, self.agreements, self.submissions)),
            tuple(self.names[i] for i in final_pair(forecast, sent)),
            correlation([self.candidates[i].out_of_fold for i in sent], scores),
        )

    def _outlook(self, index: int, forecast: Forecast, known: Mapping[int, float]) -> Outlook:
        mean, sd = float(forecast.mean[index]), forecast.deviation(index)
        others = [i for i in known if i != index]
        nearest = max(others, key=lambda i: self.agreements[index, i], default=None)
        open_ = bool(known) and index not in known
        return Outlook(
            candidate=self.candidates[index],
            recorded=known.get(index),
            public=mean,
            interval=(mean - Z * sd, mean + Z * sd),
            private=float(forecast.mean[forecast.size + index]),
            nearest=None if nearest is None else (self.names[nearest], float(self.agreements[index, nearest])),
            improvement=float(ndtr((mean - max(known.values())) / sd)) if open_ else None,
        )


def value_of_sending(forecast: Forecast, sent: Sequence[int], sending: Sequence[int]) -> float:
    """Returns the expected private score of the better of two, chosen by `final_pair` once the scores of `sending` are
    known.

    Only sent submissions can be chosen. Their expected private scores by then are Gaussian around today's, and the
    remaining variance does not depend on the scores: a candidate counts for its own score, for what its score reveals
    about others, and as a second choice.
    """
    private = [forecast.size + i for i in (*sent, *sending)]
    square = np.ix_(private, private)
    learnt = (forecast.gain(sending) @ forecast.covariance[sending])[square]
    expected = _drawn(forecast.mean[private], learnt)
    best = expected.argmax(1)
    first = np.take_along_axis(expected, best[:, None], 1)
    both = greater(first, expected, _spread(forecast.covariance[square] - learnt)[best])
    return float(both.max(1).mean())


def to_send(forecast: Forecast, sent: Sequence[int], agreements: Array, count: int) -> list[int]:
    """Returns up to `count` candidates; each adds the most to the value of sending those before it too.

    A candidate equal to one that is sent (agreement 1) is not sent.
    """
    chosen: list[int] = []
    for _ in range(count):
        left = [i for i in range(forecast.size) if not (agreements[i, [*sent, *chosen]] == 1).any()]
        if not left:
            break
        chosen.append(max(left, key=lambda i: value_of_sending(forecast, sent, [*chosen, i])))
    return chosen


def final_pair(forecast: Forecast, among: Sequence[int]) -> list[int]:
    """Returns the candidate with the best expected private score, and the one that raises the expected maximum of both
    most: good, and different from the first.
    """
    if len(among) < 2:
        return list(among)
    best = max(among, key=lambda i: forecast.mean[forecast.size + i])

    def together(other: int) -> float:
        pair = [forecast.size + best, forecast.size + other]
        return expected_maximum(forecast.mean[pair], forecast.covariance[np.ix_(pair, pair)])

    return [best, max((i for i in among if i != best), key=together)]


def expected_maximum(mean: Array, covariance: Array) -> float:
    """Returns E max of a Gaussian vector, mean (n,), covariance (n,n): exact up to n = 2, else the mean over draws."""
    if len(mean) == 2:
        return float(greater(mean[0], mean[1], _spread(covariance)[0, 1]))
    return float(_drawn(mean, covariance).max(1).mean())


def greater(one: Array, other: Array, spread: Array) -> Array:
    """Returns E max of two Gaussians from their means and the standard deviation of their difference.

    Clark 1961, The Greatest of a Finite Set of Random Variables. Shapes broadcast.
    """
    ratio = (one - other) / np.maximum(spread, TINY)
    density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(one * ndtr(ratio) + other * ndtr(-ratio) + spread * density)


def _spread(covariance: Array) -> Array:
    """Returns (n,n) the standard deviation of each difference."""
    variance = np.diag(covariance)
    return np.asarray(np.sqrt((variance[:, None] + variance - 2 * covariance).clip(0)))


def _drawn(mean: Array, covariance: Array) -> Array:
    """Returns (2 DRAWS,n) draws, always the same, each with its mirror image, so that their mean is exact."""
    values, vectors = np.linalg.eigh(covariance)
    deviations = _draws(len(mean)) @ (vectors * np.sqrt(values.clip(0))).T
    return np.concatenate([mean + deviations, mean - deviations])


@cache
def _draws(size: int) -> Array:
    return stream(0, "expected maximum", size).standard_normal((DRAWS, size))


def correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float] | None:
    """Returns Pearson's and Spearman's, ties at their mean rank; None for fewer than three pairs or equal scores."""
    if len(one) < FEWEST or min(len(set(one)), len(set(other))) == 1:
        return None
    return _pearson(np.array(one), np.array(other)), _pearson(_ranks(one), _ranks(other))


def _pearson(one: Array, other: Array) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(scores: Sequence[float]) -> Array:
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks
