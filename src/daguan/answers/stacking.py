"""Stacking (Wolpert 1992): spans that a member proposes, judged by a logistic regression that also knows a lexicon.

What the members say of a span, how it stands beside its rivals, its type and length, and how often its string is an entity
in the lines learnt from: the last is what rank 5 of the contest rescored its ensemble by. N lines, M members, C spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.answers.candidates import best_disjoint
from daguan.answers.evidence import Answers, Kept, OutOfFold
from daguan.core.types import Sentence, Span
from daguan.text.lexicon import Lexicon
from daguan.text.marginals import mean
from daguan.text.tags import TagScheme
from daguan.training.prediction import decode_lines, log_probs

BIASES = (0.0, 0.75, 1.5, 3.0)  # nats on all types: the mean's own spans, and those it nearly finds
PENALTY = 1.0  # of the regression, on standardised features
THRESHOLDS = np.arange(0.2, 0.71, 0.02)  # of P(right)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Proposals:
    """Of some lines, C spans: their line (C,) and what the members say of each (C,F)."""

    spans: Sequence[Span]
    lines: NDArray[np.int64]
    features: Floats

    @classmethod
    def of(cls, answers: Answers, scheme: TagScheme) -> Proposals:
        by_member = [decode_lines(member, scheme) for member in answers]
        of_mean = mean(answers)
        biases = [np.array([0, *[bias] * (len(scheme) - 1)], np.float32) for bias in BIASES]
        decodes = [*by_member, *(decode_lines(of_mean, scheme, bias) for bias in biases)]
        by_line = [sorted(set().union(*found)) for found in zip(*decodes, strict=True)]
        spans = [span for of_line in by_line for span in of_line]
        lines = np.repeat(np.arange(len(by_line)), [len(of_line) for of_line in by_line])
        votes = np.array([sum(span in found[line] for found in by_member) for line, span in zip(lines, spans, strict=True)])
        odds = [_log_odds(member, spans, lines, scheme) for member in (*answers, of_mean)]
        rivals = _best_rivals(spans, lines, odds[-1][0])
        types = [[span.label == label for label in scheme.labels] for span in spans]
        lengths = [np.log(span.stop - span.start) for span in spans]
        columns = [*(least for least, _ in odds), odds[-1][1], votes / len(answers), rivals, lengths]
        features = np.stack([np.asarray(column, np.float64) for column in columns], 1)
        return cls(spans, lines, np.concatenate([features, np.array(types, np.float64).reshape(len(spans), -1)], 1))


def _log_odds(
    member: Sequence[NDArray[np.floating]], spans: Sequence[Span], lines: NDArray[np.int64], scheme: TagScheme
) -> tuple[Floats, Floats]:
    """(C,) of the least certain token of each span, and (C,) the mean log marginal of its tokens."""
    offsets = np.cumsum([0, *map(len, member)])
    logs = log_probs(np.concatenate(list(member)))
    sizes = np.array([span.stop - span.start for span in spans], np.int64)
    begins = np.cumsum(sizes) - sizes
    firsts = offsets[lines] + np.array([span.start for span in spans], np.int64)
    tokens = np.repeat(firsts - begins, sizes) + np.arange(sizes.sum())
    tags = [scheme.encode(size, [Span(0, size, span.label)]) for size, span in zip(sizes.tolist(), spans, strict=True)]
    at = logs[tokens, np.concatenate([np.zeros(0, np.int64), *tags])].astype(np.float64)
    if not len(spans):
        return np.zeros(0), np.zeros(0)
    least = np.minimum.reduceat(at, begins)
    return least - np.log1p(-np.minimum(np.exp(least), 1 - 1e-4)), np.add.reduceat(at, begins) / sizes


def _best_rivals(spans: Sequence[Span], lines: NDArray[np.int64], odds: Floats) -> Floats:
    """(C,): the best odds among the spans of the line that overlap; the worst there are where none does."""
    bounds = np.searchsorted(lines, np.arange(int(lines[-1]) + 2)) if len(lines) else np.zeros(1, np.int64)
    rivals = np.full(len(spans), odds.min(initial=0.0))
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        for one in range(low, high):
            for other in range(low, high):
                if one != other and spans[one].start < spans[other].stop and spans[other].start < spans[one].stop:
                    rivals[one] = max(rivals[one], odds[other])
    return rivals


def lexicon_features(counts: NDArray[np.int64], types: NDArray[np.int64]) -> Floats:
    """(C,6) of the counts (C,labels+1) of each span's string, and its type (C,): is it known, how often it is this type,
    another, none of them, and the shares of this and another type."""
    own = np.take_along_axis(counts, types[:, None], 1)[:, 0]
    others, anywhere = counts[:, :-1].sum(1) - own, counts[:, -1]
    times = np.log1p(np.stack([own, others, np.maximum(anywhere - own - others, 0)], 1))
    known = (own + others > 0)[:, None]
    shares = np.stack([own, others], 1) / np.maximum(anywhere, 1)[:, None]
    return np.concatenate([known, times, shares], 1)


@dataclass(frozen=True)
class Stack:
    """coefficients (features,) and intercept: of the log-odds that a span is right, its features as they are; what
    exceeds `threshold` may be taken. The lexicon is of all lines learnt from."""

    labels: tuple[str, ...]
    coefficients: tuple[float, ...]
    intercept: float
    threshold: float
    lexicon: Lexicon

    def spans(self, sentences: Sequence[Sentence], answers: Answers) -> list[tuple[Span, ...]]:
        proposals = Proposals.of(answers, TagScheme(self.labels))
        numbers, types = look_up(sentences, proposals, self.lexicon, self.labels)
        known = lexicon_features(self.lexicon.counts[numbers, 0], types)
        features = np.concatenate([proposals.features, known], 1)
        # a sum a row, as a matrix product may round a row by how many there are
        odds = (features * np.array(self.coefficients)).sum(1) + self.intercept
        return choose(proposals, odds - self.threshold, len(sentences))

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("labels", "coefficients", "intercept", "threshold")}
        return told | {"lexicon": self.lexicon.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Stack:
        labels = tuple(values["labels"])
        lexicon = Lexicon.from_json(values["lexicon"], len(labels))
        return cls(labels, tuple(values["coefficients"]), values["intercept"], values["threshold"], lexicon)


def look_up(
    sentences: Sequence[Sentence], proposals: Proposals, lexicon: Lexicon, labels: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(C,) the number of each span's string in the lexicon, and (C,) its type."""
    pairs = zip(proposals.lines.tolist(), proposals.spans, strict=True)
    numbers = [lexicon.number(sentences[line].tokens[span.start : span.stop]) for line, span in pairs]
    return np.array(numbers, np.int64), np.array([labels.index(span.label) for span in proposals.spans], np.int64)


def choose(proposals: Proposals, values: Floats, lines: int) -> list[tuple[Span, ...]]:
    """Of each line the disjoint spans with the highest sum of values."""
    of_line: list[dict[Span, float]] = [{} for _ in range(lines)]
    for line, span, value in zip(proposals.lines.tolist(), proposals.spans, values.tolist(), strict=True):
        of_line[line][span] = value
    return [best_disjoint(found) for found in of_line]


class StackLearner:
    """The features of a line of one fold know the lexicon of the other kept folds alone."""

    def __init__(self, evidence: OutOfFold) -> None:
        self._evidence, labels = evidence, evidence.scheme.labels
        self._proposals = Proposals.of(evidence.answers, evidence.scheme)
        self._folds = evidence.fold_of_line[self._proposals.lines]
        self._lexicon = Lexicon.of(evidence.gold, labels, evidence.fold_of_line)
        self._numbers, self._types = look_up(evidence.gold, self._proposals, self._lexicon, labels)

    def features(self, kept: Kept) -> Floats:
        """(C,features) of all proposals, as for those of kept lines."""
        fold_of_line = self._evidence.fold_of_line
        groups = np.bincount(fold_of_line[kept], minlength=int(fold_of_line.max()) + 1) > 0
        counts = np.zeros((len(self._numbers), len(self._evidence.scheme.labels) + 1), np.int64)
        for fold in range(len(groups)):
            here = self._folds == fold
            counts[here] = self._lexicon.among(groups & (np.arange(len(groups)) != fold))[self._numbers[here]]
        return np.concatenate([self._proposals.features, lexicon_features(counts, self._types)], 1)

    def fit(self, kept: Kept) -> Stack:
        """Raises nothing where there is nothing to learn from: then no span is taken."""
        evidence, fold_of_line = self._evidence, self._evidence.fold_of_line
        here = kept[self._proposals.lines]
        features = self.features(kept)[here]
        right = self._right()[here]
        coefficients, intercept = _regress(features, right)
        odds = (features * coefficients).sum(1) + intercept
        groups = np.bincount(fold_of_line[kept], minlength=int(fold_of_line.max()) + 1) > 0
        spans = [span for span, is_here in zip(self._proposals.spans, here, strict=True) if is_here]
        proposals = Proposals(spans, self._proposals.lines[here], features)
        threshold = _best_threshold(proposals, odds, right, evidence, kept)
        lexicon = self._lexicon.only(groups)
        return Stack(evidence.scheme.labels, tuple(coefficients.tolist()), intercept, threshold, lexicon)

    def _right(self) -> NDArray[np.bool_]:
        gold = [set(sentence.gold) for sentence in self._evidence.gold]
        pairs = zip(self._proposals.lines.tolist(), self._proposals.spans, strict=True)
        return np.array([span in gold[line] for line, span in pairs], bool)


def _regress(features: Floats, right: NDArray[np.bool_]) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    centre, spread = features.mean(0), features.std(0)
    spread[spread == 0] = 1.0
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit((features - centre) / spread, right)
    coefficients = model.coef_[0] / spread
    return coefficients, float(model.intercept_[0] - coefficients @ centre)


def _best_threshold(
    proposals: Proposals, odds: Floats, right: NDArray[np.bool_], evidence: OutOfFold, kept: Kept
) -> float:
    """The log-odds over which taking spans gives the best F1."""
    gold = [sentence.gold for sentence in evidence.gold]
    total = sum(len(gold[line]) for line in np.flatnonzero(kept))

    def f1(threshold: float) -> float:
        chosen = choose(proposals, odds - threshold, len(gold))
        hits = sum(len(set(ours).intersection(theirs)) for ours, theirs in zip(chosen, gold, strict=True) if ours)
        return 2 * hits / max(1, sum(map(len, chosen)) + total)

    return max(np.log(THRESHOLDS / (1 - THRESHOLDS)).tolist(), key=f1)
