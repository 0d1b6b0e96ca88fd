"""Means of marginals, decoded once: plain, by weights chosen for F1, with a threshold for each type, or both.

A threshold is a bias that is added to the log marginals of a type's tags before the decode, as over them it is what
P(tag) must reach beside that of outside. The product of marginals is shy of entities: their mass is spread over starts
and stops, that of outside is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.seeds import stream
from daguan.core.types import Sentence, Span
from daguan.data.marginals import mean
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import Answers, Judged, Kept, OutOfFold
from daguan.ensemble.span_counts import SpanCounter, Weights
from daguan.training.prediction import decode_lines, decode_tags, log_probs

BAGS = 10
BIASES = tuple(sorted(np.arange(-1.5, 2.1, 0.25).tolist(), key=abs))  # nats; of equally good ones the first is taken
SLACK = 2 * max(map(abs, BIASES))  # what two of them can differ by, with either sign
ROUNDS = 2  # over the types


@dataclass(frozen=True)
class WeightedMean:
    """labels: of the scheme; weights (M,), of any sum; biases (labels,): of a type's tags, over 0 finds more of it."""

    labels: tuple[str, ...]
    weights: Weights
    biases: Weights

    def spans(self, sentences: Sequence[Sentence], answers: Answers) -> list[tuple[Span, ...]]:
        return decode_lines(mean(answers, self.weights), TagScheme(self.labels), self._bias)

    def judge(self, sentences: Sequence[Sentence], answers: Answers) -> Judged:
        """A decision is a token's tag, and its probability the mean's marginal, after the biases if there are any."""
        means, scheme = mean(answers, self.weights), TagScheme(self.labels)
        tags = decode_tags(means, scheme, self._bias)
        if (bias := self._bias) is not None:
            shares = [np.exp(log_probs(probs, bias)) for probs in means]
            beliefs = [share / share.sum(1, keepdims=True) for share in shares]
        else:
            beliefs = [probs.astype(np.float32) for probs in means]
        least = [probs[np.arange(len(probs)), of_line].min() for probs, of_line in zip(beliefs, tags, strict=True)]
        return Judged([scheme.decode(of_line) for of_line in tags], np.array(least, np.float64))

    @property
    def _bias(self) -> NDArray[np.float32] | None:
        """(K,)"""
        return np.array(tag_biases(self.biases), np.float32) if any(self.biases) else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> WeightedMean:
        return cls(*(tuple(values[name]) for name in ("labels", "weights", "biases")))


def tag_biases(biases: Weights) -> Weights:
    """(K,) of (labels,): none for outside."""
    return (0.0, *(bias for bias in biases for _ in range(4)))


def plain_mean(labels: tuple[str, ...], members: int) -> WeightedMean:
    return WeightedMean(labels, (1.0,) * members, (0.0,) * len(labels))


class MeanLearner:
    """The plain mean: nothing is learnt."""

    def __init__(self, evidence: OutOfFold) -> None:
        self._plain = plain_mean(evidence.scheme.labels, len(evidence.answers))

    def fit(self, kept: Kept) -> WeightedMean:
        return self._plain


class WeightLearner:
    """Weights by ensemble selection (Caruana et al. 2004, "Ensemble selection from libraries of models"): the mean of
    what is chosen for BAGS bootstrap samples of the lines (theirs draws half of the models for each bag; a library of
    thousands can spare them, one of three cannot). Where the plain mean or a member alone is better on the
    lines themselves, it is taken. With `thresholds`, biases are fitted to the plain mean first, and stay."""

    def __init__(self, evidence: OutOfFold, weights: bool = True, thresholds: bool = False) -> None:
        self._plain = plain_mean(evidence.scheme.labels, len(evidence.answers))
        self._seed, self._weights, self._thresholds = evidence.seed, weights, thresholds
        slack = SLACK if thresholds else 0.0
        self._counter = SpanCounter(evidence.gold, evidence.answers, evidence.scheme, slack)

    def fit(self, kept: Kept) -> WeightedMean:
        fitted = self._plain
        if self._thresholds:
            fitted = replace(fitted, biases=self._fit_biases(kept.astype(np.float64)))
        if self._weights:
            fitted = replace(fitted, weights=self._fit_weights(kept, fitted.biases))
        return fitted

    def _fit_biases(self, times: NDArray[np.float64]) -> Weights:
        """A type at a time, on a grid."""
        biases = self._plain.biases
        for label in list(range(len(biases))) * ROUNDS:
            tries = [(*biases[:label], bias, *biases[label + 1 :]) for bias in BIASES]
            biases = max(tries, key=lambda these: self._f1(times, these, self._plain.weights))
        return biases

    def _fit_weights(self, kept: Kept, biases: Weights) -> Weights:
        members, lines, rng = len(self._plain.weights), np.flatnonzero(kept), stream(self._seed, "bags")
        total = np.zeros(members)
        for _ in range(BAGS):
            times = np.bincount(rng.choice(lines, len(lines)), minlength=len(kept)).astype(np.float64)
            chosen = np.array(select(partial(self._f1, times, biases), members))
            total += chosen / chosen.sum()
        tries = [tuple((total / BAGS).tolist()), self._plain.weights, *_tuples(np.eye(members))]
        return max(tries, key=partial(self._f1, kept.astype(np.float64), biases))

    def _f1(self, times: NDArray[np.float64], biases: Weights, weights: Weights) -> float:
        return self._counter.f1(times, weights, tag_biases(biases) if any(biases) else ())


def select(f1: Callable[[Weights], float], members: int) -> Weights:
    """How often each member is in the ensemble that forward selection with replacement reaches: it starts with as many
    of the best members as score highest together (§2.2), and adds the one that helps most while one helps (§2)."""
    alone = _tuples(np.eye(members))
    order = sorted(range(members), key=lambda member: -f1(alone[member]))
    best = max(_tuples(np.cumsum(np.eye(members)[order], 0)), key=f1)
    while f1(better := max(_tuples(np.eye(members) + best), key=f1)) > f1(best):
        best = better
    return best


def _tuples(rows: NDArray[np.float64]) -> list[Weights]:
    return [tuple(row) for row in rows.tolist()]
