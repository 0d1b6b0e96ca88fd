"""Stacking (Wolpert 1992): spans that a member proposes, judged by a logistic regression that also knows a lexicon.

What the members say of a span, how it stands beside its rivals, its type and length, and how often its string is an
entity in the lines learnt from: by the last, rank 5 of the contest rescored its ensemble. M members, C spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from daguan.answers.evidence import Answers, Judged, Kept, OutOfFold, least_certain
from daguan.answers.proposals import Floats, Proposals, lexicon_features
from daguan.core.types import Sentence, Span
from daguan.text.lexicon import Lexicon
from daguan.text.tags import TagScheme

PENALTY = 1.0  # of the regression, on standardised features
CERTAIN = 10.0  # nats
CONSTANT = 1e-6
ENOUGH_FOLDS = 3
PARTS = 4  # of each fold, where there are fewer
THRESHOLDS = np.arange(0.2, 0.71, 0.02)  # of P(right)


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
        proposals, odds = self._odds(sentences, answers)
        return proposals.choose(odds - self.threshold, len(sentences))

    def judge(self, sentences: Sequence[Sentence], answers: Answers) -> Judged:
        """A decision is on each proposed span, and its probability P(right) where the span is taken, 1 - P(right) where
        it is not."""
        proposals, odds = self._odds(sentences, answers)
        spans = proposals.choose(odds - self.threshold, len(sentences))
        beliefs: list[dict[Span, float]] = [{} for _ in sentences]
        right = np.exp(-np.logaddexp(0, -odds)).tolist()
        for line, span, probability in zip(proposals.lines.tolist(), proposals.spans, right, strict=True):
            beliefs[line][span] = probability
        return Judged(spans, np.array([*map(least_certain, beliefs, spans)], np.float64))

    def _odds(self, sentences: Sequence[Sentence], answers: Answers) -> tuple[Proposals, Floats]:
        """What is proposed, and (C,) the log-odds that it is right."""
        proposals = Proposals.of(answers, TagScheme(self.labels))
        numbers, types = proposals.look_up(sentences, self.lexicon, self.labels)
        known = lexicon_features(self.lexicon.counts[numbers, 0], types)
        features = np.concatenate([proposals.features, known], 1)
        # a sum a row, as a matrix product may round a row by how many there are
        return proposals, (features * np.array(self.coefficients)).sum(1) + self.intercept

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("labels", "coefficients", "intercept", "threshold")}
        return told | {"lexicon": self.lexicon.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Stack:
        labels = tuple(values["labels"])
        lexicon = Lexicon.from_json(values["lexicon"], len(labels))
        return cls(labels, tuple(values["coefficients"]), values["intercept"], values["threshold"], lexicon)


class StackLearner:
    """The features of a line of one group know the lexicon of the other kept groups alone. Groups are the folds; where
    there are two, of which the nested score keeps one, parts of them, else no lexicon could be learnt there."""

    def __init__(self, evidence: OutOfFold) -> None:
        self._evidence, labels = evidence, evidence.scheme.labels
        self._proposals = Proposals.of(evidence.answers, evidence.scheme)
        self._group_of_line = _groups_of(evidence)
        self._of_proposals = self._group_of_line[self._proposals.lines]
        self._lexicon = Lexicon.of(evidence.gold, labels, self._group_of_line)
        self._numbers, self._types = self._proposals.look_up(evidence.gold, self._lexicon, labels)

    def features(self, kept: Kept) -> Floats:
        """(C,features) of all proposals, as for those of kept lines."""
        groups = self._groups(kept)
        counts = np.zeros((len(self._numbers), len(self._evidence.scheme.labels) + 1), np.int64)
        for group in range(len(groups)):
            here = self._of_proposals == group
            counts[here] = self._lexicon.among(groups & (np.arange(len(groups)) != group))[self._numbers[here]]
        return np.concatenate([self._proposals.features, lexicon_features(counts, self._types)], 1)

    def fit(self, kept: Kept) -> Stack:
        evidence, proposals = self._evidence, self._proposals
        gold = [set(sentence.gold) for sentence in evidence.gold]
        ours = proposals.of_lines(kept[proposals.lines], self.features(kept))
        right = np.array([span in gold[line] for line, span in zip(ours.lines.tolist(), ours.spans, strict=True)], bool)
        coefficients, intercept = _regress(ours.features, right)
        odds = (ours.features * coefficients).sum(1) + intercept
        threshold = _best_threshold(ours, odds, [gold[line] if is_kept else set() for line, is_kept in enumerate(kept)])
        lexicon = self._lexicon.only(self._groups(kept))
        return Stack(evidence.scheme.labels, tuple(coefficients.tolist()), intercept, threshold, lexicon)

    def _groups(self, kept: Kept) -> NDArray[np.bool_]:
        """(groups,): those that are kept."""
        of_line = self._group_of_line
        groups: NDArray[np.bool_] = np.bincount(of_line[kept], minlength=int(of_line.max()) + 1) > 0
        return groups


def _groups_of(evidence: OutOfFold) -> NDArray[np.int64]:
    """(N,) the group of each line. Equal texts are in one, as they are in one fold."""
    folds = evidence.fold_of_line
    if folds.max() >= ENOUGH_FOLDS - 1:
        return folds
    parts = [crc32(" ".join(sentence.tokens).encode()) % PARTS for sentence in evidence.gold]
    return folds * PARTS + np.array(parts, np.int64)


def _regress(features: Floats, right: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Coefficients (F,) for features as they are, and the intercept. Where all spans are right, or none, so is what is
    to come."""
    from sklearn.linear_model import LogisticRegression

    if right.all() or not right.any():
        return np.zeros(features.shape[1]), CERTAIN if right.any() else -CERTAIN
    centre, spread = features.mean(0), features.std(0)
    spread[spread <= CONSTANT * (1 + np.abs(centre))] = np.inf  # up to rounding; what never varies tells nothing
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit((features - centre) / spread, right)
    coefficients = model.coef_[0] / spread
    return coefficients, float(model.intercept_[0] - coefficients @ centre)


def _best_threshold(proposals: Proposals, odds: Floats, gold: Sequence[set[Span]]) -> float:
    """The log-odds over which taking spans gives the best F1."""

    def f1(threshold: float) -> float:
        chosen = proposals.choose(odds - threshold, len(gold))
        hits = sum(len(theirs.intersection(ours)) for ours, theirs in zip(chosen, gold, strict=True))
        return 2 * hits / max(1, sum(map(len, chosen)) + sum(map(len, gold)))

    thresholds: list[float] = np.log(THRESHOLDS / (1 - THRESHOLDS)).tolist()
    return max(thresholds, key=f1)
