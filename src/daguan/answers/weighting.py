"""Means of marginals, decoded once: plain, by weights chosen for F1, or with a bias for each type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.answers.evidence import MOST_BIAS, Kept, OutOfFold
from daguan.answers.span_counts import Weights
from daguan.core.seeds import stream
from daguan.core.types import Sentence, Span
from daguan.text.marginals import Probs, mean
from daguan.text.tags import TagScheme
from daguan.training.prediction import decode_lines

BAGS = 20
BIASES = sorted(np.arange(-MOST_BIAS, MOST_BIAS + 0.01, 0.25).tolist(), key=abs)  # nats; of equals the least is taken
ROUNDS = 2  # over the types: more changed nothing


@dataclass(frozen=True)
class WeightedMean:
    """labels: of the scheme; weights (M,); biases (labels,): added to the log marginals of a type's
    tags, so that over 0 finds more of it."""

    labels: tuple[str, ...]
    weights: Weights
    biases: Weights

    def spans(self, sentences: Sequence[Sentence], answers: Sequence[Sequence[Probs]]) -> list[tuple[Span, ...]]:
        scheme = TagScheme(self.labels)
        bias = np.array(tag_biases(self.biases), np.float32) if any(self.biases) else None
        return decode_lines(mean(answers, self.weights), scheme, bias)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> WeightedMean:
        return cls(*(tuple(values[name]) for name in ("labels", "weights", "biases")))


def tag_biases(biases: Weights) -> Weights:
    """(K,) of (labels,): none for outside."""
    return (0.0, *(bias for bias in biases for _ in range(4)))


def fit_mean(evidence: OutOfFold, kept: Kept) -> WeightedMean:
    """The plain mean: nothing is learnt."""
    return _without_bias(evidence, (1.0,) * len(evidence.answers))


def _without_bias(evidence: OutOfFold, weights: Weights) -> WeightedMean:
    labels = evidence.scheme.labels
    return WeightedMean(labels, weights, (0.0,) * len(labels))


def fit_weights(evidence: OutOfFold, kept: Kept) -> WeightedMean:
    """Weights by ensemble selection (Caruana et al. 2004, "Ensemble selection from libraries of models"): the mean of
    what is chosen for BAGS bootstrap samples of the lines. Where the plain mean or a member alone is better on the lines
    themselves, it is taken."""
    members, counter = len(evidence.answers), evidence.counter
    rng, lines = stream(evidence.seed, "bags"), np.flatnonzero(kept)
    total = np.zeros(members)
    for _ in range(BAGS):
        times = np.bincount(rng.choice(lines, len(lines)), minlength=len(kept)).astype(np.float64)
        chosen = np.array(select(partial(counter.f1, times), members))
        total += chosen / chosen.sum()
    tries = [tuple((total / BAGS).tolist()), (1.0,) * members, *_alone(members)]
    return _without_bias(evidence, max(tries, key=partial(counter.f1, kept.astype(np.float64))))


def select(f1: Callable[[Weights], float], members: int) -> Weights:
    """How often each member is in the ensemble that forward selection with replacement reaches: it starts with as many
    of the best members as score highest together (§2.2), and adds the one that helps most while one helps (§2)."""
    order = sorted(range(members), key=lambda member: -f1(_alone(members)[member]))
    best = max(_tuples(np.cumsum(np.eye(members)[order], 0)), key=f1)
    while f1(better := max(_tuples(np.eye(members) + best), key=f1)) > f1(best):
        best = better
    return best


def _alone(members: int) -> list[Weights]:
    return _tuples(np.eye(members))


def _tuples(rows: NDArray[np.float64]) -> list[Weights]:
    return [tuple(row) for row in rows.tolist()]


def fit_biases(evidence: OutOfFold, kept: Kept) -> WeightedMean:
    """The plain mean with a bias for each type, found a type at a time on a grid."""
    f1 = partial(evidence.counter_of_mean.f1, kept.astype(np.float64), (1.0,))
    plain = fit_mean(evidence, kept)
    biases = plain.biases
    for label in list(range(len(biases))) * ROUNDS:
        tries = [(*biases[:label], bias, *biases[label + 1 :]) for bias in BIASES]
        biases = max(tries, key=lambda these: f1(tag_biases(these)))
    return replace(plain, biases=biases)
