"""Combines members by a mean of marginals, decoded once: plain, with weights, with a threshold per type, or both.

Weights and thresholds are chosen for F1. A threshold is a bias added to the log marginals of a type's tags before
decoding. The product of marginals underrates entities: their mass is spread over several starts and stops, that of
outside is not.
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
from daguan.data.decoding import decode_lines, decode_tags, log_probs
from daguan.data.marginals import mean
from daguan.data.span_probabilities import with_probabilities
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import ConfidentSpans, Learner, LineMask, MemberMarginals, Method, OutOfFoldData
from daguan.ensemble.span_candidates import near_spans
from daguan.ensemble.span_counts import SpanCounter, Weights

BAGS = 10
BIASES = tuple(sorted(np.arange(-1.5, 2.1, 0.25).tolist(), key=abs))  # nats; the first one wins a tie
SLACK = 2 * max(map(abs, BIASES))  # the largest difference of two biases
ROUNDS = 2  # passes over the types


@dataclass(frozen=True)
class WeightedMean:
    """A weighted mean with biases.

    Attributes:
        labels: the scheme's.
        weights: (M,) of any sum.
        biases: (labels,) added to a type's tags; above 0 finds more of the type.
    """

    labels: tuple[str, ...]
    weights: Weights
    biases: Weights

    def spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[tuple[Span, ...]]:
        """A probability is that of the mean without biases: these choose spans, but say nothing of how sure it is."""
        means, scheme = mean(marginals, self.weights), TagScheme(self.labels)
        return with_probabilities(decode_lines(means, scheme, self._bias), means, scheme)

    def adapted_to(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> WeightedMean:
        """Returns itself; nothing depends on the lines."""
        return self

    def confident_spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> ConfidentSpans:
        """A decision is the tag of a token. Its probability is the mean's marginal, renormalised after biases."""
        means, scheme = mean(marginals, self.weights), TagScheme(self.labels)
        tags = decode_tags(means, scheme, self._bias)
        if (bias := self._bias) is not None:
            shares = [np.exp(log_probs(probs, bias)) for probs in means]
            probabilities = [share / share.sum(1, keepdims=True) for share in shares]
        else:
            probabilities = [probs.astype(np.float32) for probs in means]
        least = [probs[np.arange(len(row)), row].min() for probs, row in zip(probabilities, tags, strict=True)]
        return ConfidentSpans(scheme.decode_all(tags), np.array(least, np.float64))

    def candidates(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[dict[Span, float]]:
        """The spans that the mean decodes or nearly finds. A probability is that of the mean without biases."""
        means, scheme = mean(marginals, self.weights), TagScheme(self.labels)
        near, chosen = near_spans(means, scheme), decode_lines(means, scheme, self._bias)
        spans = [tuple(sorted({*one, *other})) for one, other in zip(near, chosen, strict=True)]
        found = with_probabilities(spans, means, scheme)
        return [{span: span.probability or 0.0 for span in of_line} for of_line in found]

    @property
    def _bias(self) -> NDArray[np.float32] | None:
        """Returns (K,), None if all biases are 0."""
        return np.array(tag_biases(self.biases), np.float32) if any(self.biases) else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any], _: object) -> WeightedMean:
        return cls(*(tuple(values[name]) for name in ("labels", "weights", "biases")))


def tag_biases(biases: Weights) -> Weights:
    """Returns (K,) from (labels,); 0 for outside."""
    return (0.0, *(bias for bias in biases for _ in range(4)))


def plain_mean(labels: tuple[str, ...], members: int) -> WeightedMean:
    return WeightedMean(labels, (1.0,) * members, (0.0,) * len(labels))


class MeanLearner(Learner):
    """Returns the plain mean; nothing is fitted."""

    def __init__(self, data: OutOfFoldData) -> None:
        self._plain = plain_mean(data.scheme.labels, len(data.marginals))

    def fit(self, used: LineMask) -> WeightedMean:
        return self._plain


class WeightLearner(Learner):
    """Fits weights by ensemble selection (Caruana et al. 2004, "Ensemble selection from libraries of models").

    The weights are averaged over BAGS bootstrap samples of the lines (theirs draws half of the models for each bag; a
    library of thousands can spare them, one of three cannot). The plain mean or a single member is taken where it is
    better on the lines themselves. With `thresholds`, biases are fitted to the plain mean first, and then fixed.
    """

    def __init__(self, data: OutOfFoldData, weights: bool = True, thresholds: bool = False) -> None:
        self._plain = plain_mean(data.scheme.labels, len(data.marginals))
        self._seed, self._weights, self._thresholds = data.seed, weights, thresholds
        slack = SLACK if thresholds else 0.0
        self._counter = SpanCounter(data.gold, data.marginals, data.scheme, slack)

    def fit(self, used: LineMask) -> WeightedMean:
        fitted = self._plain
        if self._thresholds:
            fitted = replace(fitted, biases=self._fit_biases(used.astype(np.float64)))
        if self._weights:
            fitted = replace(fitted, weights=self._fit_weights(used, fitted.biases))
        return fitted

    def _fit_biases(self, times: NDArray[np.float64]) -> Weights:
        """Optimises one type at a time, on a grid."""
        biases = self._plain.biases
        for label in list(range(len(biases))) * ROUNDS:
            tries = [(*biases[:label], bias, *biases[label + 1 :]) for bias in BIASES]
            biases = max(tries, key=lambda these: self._f1(times, these, self._plain.weights))
        return biases

    def _fit_weights(self, used: LineMask, biases: Weights) -> Weights:
        members, lines, rng = len(self._plain.weights), np.flatnonzero(used), stream(self._seed, "bags")
        total = np.zeros(members)
        for _ in range(BAGS):
            times = np.bincount(rng.choice(lines, len(lines)), minlength=len(used)).astype(np.float64)
            chosen = np.array(ensemble_selection(partial(self._f1, times, biases), members))
            total += chosen / chosen.sum()
        tries = [tuple((total / BAGS).tolist()), self._plain.weights, *_tuples(np.eye(members))]
        return max(tries, key=partial(self._f1, used.astype(np.float64), biases))

    def _f1(self, times: NDArray[np.float64], biases: Weights, weights: Weights) -> float:
        return self._counter.f1(times, weights, tag_biases(biases) if any(biases) else ())


def ensemble_selection(f1: Callable[[Weights], float], members: int) -> Weights:
    """Returns how often each member is in the ensemble reached by forward selection with replacement.

    It starts with the best members whose plain mean scores highest (§2.2), and adds the member that helps most as long
    as one helps (§2).
    """
    alone = _tuples(np.eye(members))
    order = sorted(range(members), key=lambda member: -f1(alone[member]))
    best = max(_tuples(np.cumsum(np.eye(members)[order], 0)), key=f1)
    while f1(better := max(_tuples(np.eye(members) + best), key=f1)) > f1(best):
        best = better
    return best


def _tuples(rows: NDArray[np.float64]) -> list[Weights]:
    return [tuple(row) for row in rows.tolist()]


MEAN = Method(MeanLearner, WeightedMean.from_json)
WEIGHTS = Method(WeightLearner, WeightedMean.from_json)
THRESHOLDS = Method(partial(WeightLearner, weights=False, thresholds=True), WeightedMean.from_json)
WEIGHTS_AND_THRESHOLDS = Method(partial(WeightLearner, thresholds=True), WeightedMean.from_json)
