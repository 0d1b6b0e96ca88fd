"""The plan of a day: what is expected of each submission, which to send, which to choose if the contest ended now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from daguan.answers.belief import Array, Belief, Lines, PlanSettings, prior
from daguan.answers.candidates import Candidate, Z, agreement
from daguan.core.seeds import stream

DRAWS = 2000
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
            improvement=below((mean - max(known.values())) / sd) if open_ else None,
        )


def value_of_sending(belief: Belief, sent: Sequence[int], sending: Sequence[int]) -> float:
    """The private score to expect of the best choice once the scores of `sending` are known.

    Only what was sent can be chosen, and it is chosen by its expected private score then. Before the scores are known
    that expectation is Gaussian itself, with the mean of now: the value is the expected maximum of these expectations,
    so a candidate counts for what it promises and for what its score would tell of others.
    """
    private = [belief.size + i for i in (*sent, *sending)]
    moved = (belief.gain(sending) @ belief.covariance[sending])[np.ix_(private, private)]
    return expected_maximum(belief.mean[private], moved)


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
    """E max of a Gaussian vector, mean (n,), covariance (n,n): exact for one and two (Clark 1961, The Greatest of a
    Finite Set of Random Variables), else the mean over seeded draws and their mirror images."""
    if len(mean) == 1:
        return float(mean[0])
    if len(mean) == 2:
        spread = math.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
        return _greater(float(mean[0]), float(mean[1]), spread)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0))
    deviations = _draws(len(mean)) @ root.T
    return float(np.mean([(mean + deviations).max(1), (mean - deviations).max(1)]))


def _greater(one: float, other: float, spread: float) -> float:
    if spread == 0:
        return max(one, other)
    ratio = (one - other) / spread
    density = math.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    return one * below(ratio) + other * below(-ratio) + spread * density


def below(ratio: float) -> float:
    """The standard normal distribution function."""
    return math.erfc(-ratio / math.sqrt(2)) / 2


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
