"""The plan of a day: what is expected of each submission, which to send, which to choose if the contest ended now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr

from daguan.competition.candidates import Candidate, Z, agreement
from daguan.competition.forecast import Array, Belief, Lines, PlanSettings, prior
from daguan.core.seeds import stream

DRAWS = 1000
TINY = 1e-12  # in place of no spread at all
FEWEST = 3  # pairs of scores, for a correlation to say anything


@dataclass(frozen=True)
class Outlook:
    """What is expected of a candidate. recorded: its score on the public board where it is known; public: that score as
    expected, with a 95 % interval. private: what is expected at the end. nearest: the sent submission whose answer
    agrees most, and the span F1 between both. improvement: the probability to beat the best recorded score."""

    candidate: Candidate
    recorded: float | None
    public: float
    interval: tuple[float, float]
    private: float
    nearest: tuple[str, float] | None
    improvement: float | None


@dataclass(frozen=True)
class Plan:
    """outlooks: of all candidates, by name. send: names, the most valuable first. choose: up to two names of what was
    sent, the first the better. correlation: Pearson's and Spearman's, of scores out of fold with recorded ones."""

    outlooks: tuple[Outlook, ...]
    send: tuple[str, ...]
    choose: tuple[str, ...]
    correlation: tuple[float, float] | None


class Planner:
    """Plans for one or more candidates with distinct names, whatever is recorded of them."""

    def __init__(self, candidates: Sequence[Candidate], lines: Lines, settings: PlanSettings) -> None:
        self.candidates = sorted(candidates, key=lambda candidate: candidate.name)
        self.names = [candidate.name for candidate in self.candidates]
        self.submissions = settings.submissions
        self.alike = agreement(self.candidates)
        self.prior = prior(self.candidates, self.alike, lines, settings)

    def plan(self, recorded: Mapping[str, float]) -> Plan:
        """What is recorded of others plays no part."""
        known = {i: recorded[name] for i, name in enumerate(self.names) if name in recorded}
        sent, scores = list(known), list(known.values())
        belief = self.prior.given(sent, scores)
        return Plan(
            tuple(self._outlook(i, belief, known) for i in range(len(self.names))),
            tuple(self.names[i] for i in to_send(belief, sent, self.alike, self.submissions)),
            tuple(self.names[i] for i in final_pair(belief, sent)),
            correlation([self.candidates[i].out_of_fold for i in sent], scores),
        )

    def _outlook(self, index: int, belief: Belief, known: Mapping[int, float]) -> Outlook:
        mean, sd = float(belief.mean[index]), belief.deviation(index)
        others = [i for i in known if i != index]
        nearest = max(others, key=lambda i: self.alike[index, i], default=None)
        open_ = bool(known) and index not in known
        return Outlook(
            candidate=self.candidates[index],
            recorded=known.get(index),
            public=mean,
            interval=(mean - Z * sd, mean + Z * sd),
            private=float(belief.mean[belief.size + index]),
            nearest=None if nearest is None else (self.names[nearest], float(self.alike[index, nearest])),
            improvement=float(ndtr((mean - max(known.values())) / sd)) if open_ else None,
        )


def value_of_sending(belief: Belief, sent: Sequence[int], sending: Sequence[int]) -> float:
    """The private score to expect of the better of two, chosen as `final_pair` does once the scores of `sending` are
    known.

    Only what was sent can be chosen. What will be expected of it by then is Gaussian itself, about the mean of now, and
    what will stay unknown does not depend on the scores: so a candidate counts for what it promises, for what its score
    would tell of others, and as a second choice.
    """
    private = [belief.size + i for i in (*sent, *sending)]
    square = np.ix_(private, private)
    told = (belief.gain(sending) @ belief.covariance[sending])[square]
    expected = _drawn(belief.mean[private], told)
    best = expected.argmax(1)
    first = np.take_along_axis(expected, best[:, None], 1)
    both = greater(first, expected, _spread(belief.covariance[square] - told)[best])
    return float(both.max(1).mean())


def to_send(belief: Belief, sent: Sequence[int], alike: Array, count: int) -> list[int]:
    """Up to `count` candidates, one after the other that which adds most to the value of sending those before it too.
    One whose answer is that of another (`alike` (n,n) is 1) is not sent beside it."""
    chosen: list[int] = []
    for _ in range(count):
        left = [i for i in range(belief.size) if not (alike[i, [*sent, *chosen]] == 1).any()]
        if not left:
            break
        chosen.append(max(left, key=lambda i: value_of_sending(belief, sent, [*chosen, i])))
    return chosen


def final_pair(belief: Belief, among: Sequence[int]) -> list[int]:
    """The one with the best expected private score, and that which raises most the expected maximum of both: good, and
    not too like the first."""
    if len(among) < 2:
        return list(among)
    best = max(among, key=lambda i: belief.mean[belief.size + i])

    def together(other: int) -> float:
        pair = [belief.size + best, belief.size + other]
        return expected_maximum(belief.mean[pair], belief.covariance[np.ix_(pair, pair)])

    return [best, max((i for i in among if i != best), key=together)]


def expected_maximum(mean: Array, covariance: Array) -> float:
    """E max of a Gaussian vector, mean (n,), covariance (n,n): exact for one and two, else the mean over draws."""
    if len(mean) == 2:
        return float(greater(mean[0], mean[1], _spread(covariance)[0, 1]))
    return float(_drawn(mean, covariance).max(1).mean())


def greater(one: Array, other: Array, spread: Array) -> Array:
    """E max of two Gaussians by their means and the standard deviation of their difference (Clark 1961, The Greatest of
    a Finite Set of Random Variables); shapes as they broadcast."""
    ratio = (one - other) / np.maximum(spread, TINY)
    density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(one * ndtr(ratio) + other * ndtr(-ratio) + spread * density)


def _spread(covariance: Array) -> Array:
    """(n,n) the standard deviation of each difference."""
    variance = np.diag(covariance)
    return np.asarray(np.sqrt((variance[:, None] + variance - 2 * covariance).clip(0)))


def _drawn(mean: Array, covariance: Array) -> Array:
    """(2 DRAWS,n) of that Gaussian: the same every time, each with its mirror image, so that their mean is exact."""
    values, vectors = np.linalg.eigh(covariance)
    deviations = _draws(len(mean)) @ (vectors * np.sqrt(values.clip(0))).T
    return np.concatenate([mean + deviations, mean - deviations])


@cache
def _draws(size: int) -> Array:
    return stream(0, "expected maximum", size).standard_normal((DRAWS, size))


def correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float] | None:
    """Pearson's, and Spearman's with ties at their mean rank; None for fewer than three pairs or equal scores."""
    if len(one) < FEWEST or min(len(set(one)), len(set(other))) == 1:
        return None
    return _pearson(np.array(one), np.array(other)), _pearson(_ranks(one), _ranks(other))


def _pearson(one: Array, other: Array) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(scores: Sequence[float]) -> Array:
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks
