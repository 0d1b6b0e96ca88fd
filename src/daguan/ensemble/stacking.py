"""Stacking (Wolpert 1992): spans that a member proposes, judged by models that also know a lexicon and the text.

What the members say of a span, how it stands beside its rivals, its type and length; how often its string is an entity
in the lines learnt from, by which rank 5 of the contest rescored its ensemble; and how it stands in all the text. The
judges are a logistic regression and boosted trees, whose log-odds are averaged: the former needs few spans, the latter
see what matters only together. M members, C spans, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.lexicon import Lexicon, String
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.ensemble.boosting import Trees
from daguan.ensemble.combination import Answers, Judged, Kept, OutOfFold, least_certain
from daguan.ensemble.span_candidates import Floats, Proposals, lexicon_features

PENALTY = 1.0  # of the regression, on standardised features
CERTAIN = 10.0  # nats
CONSTANT = 1e-6
ENOUGH_FOLDS = 3
ENOUGH = 100_000  # proposals to learn from; where there are more, every second line is read, or every third, …
PARTS = 4  # of each fold, where there are fewer; of all lines, for the threshold
THRESHOLDS = np.arange(0.1, 0.71, 0.02)  # of P(right)


@dataclass(frozen=True)
class Judges:
    """coefficients (F,) and intercept of the regression, for features as they are; the trees, None where all spans were
    right, or none."""

    coefficients: tuple[float, ...]
    intercept: float
    trees: Trees | None

    @classmethod
    def fit(cls, features: Floats, right: NDArray[np.bool_]) -> Judges:
        """To features (C,F), and which of the spans are right (C,)."""
        if right.all() or not right.any():  # then so is what is to come
            return cls((0.0,) * features.shape[1], CERTAIN if right.any() else -CERTAIN, None)
        coefficients, intercept = _regress(features, right)
        return cls(tuple(coefficients.tolist()), intercept, Trees.fit(features, right))

    def odds(self, features: Floats) -> Floats:
        """(C,) log-odds that spans are right."""
        # a sum a row, as a matrix product may round a row by how many there are
        odds: Floats = (features * np.array(self.coefficients)).sum(1) + self.intercept
        return odds if self.trees is None else (odds + self.trees.odds(features)) / 2

    def to_json(self) -> dict[str, Any]:
        trees = self.trees.to_json() if self.trees else None
        return {"coefficients": self.coefficients, "intercept": self.intercept, "trees": trees}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Judges:
        trees = Trees.from_json(values["trees"]) if values["trees"] else None
        return cls(tuple(values["coefficients"]), values["intercept"], trees)


@dataclass(frozen=True)
class Stack:
    """What exceeds `threshold`, log-odds, may be taken. The lexicon is of all lines learnt from. text: what was known
    of it when the judges were fitted, if anything; it does not go into JSON."""

    labels: tuple[str, ...]
    judges: Judges
    threshold: float
    lexicon: Lexicon
    text: TextIndex | None = field(default=None, compare=False, repr=False)

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
        strings = proposals.strings(sentences)
        counts = self.lexicon.counts[self.lexicon.numbers_of(strings), 0]
        known = lexicon_features(counts, proposals.types(self.labels))
        return proposals, self.judges.odds(np.concatenate([_told(proposals, strings, self.text), known], 1))

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("labels", "threshold")}
        return told | {"judges": self.judges.to_json(), "lexicon": self.lexicon.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Stack:
        """Without the text."""
        labels = tuple(values["labels"])
        lexicon = Lexicon.from_json(values["lexicon"], len(labels))
        return cls(labels, Judges.from_json(values["judges"]), values["threshold"], lexicon)


class StackLearner:
    """The features of a line of one group know the lexicon of the other kept groups alone. Groups are the folds; where
    there are two, of which the nested score keeps one, parts of them, else no lexicon could be learnt there."""

    def __init__(self, evidence: OutOfFold) -> None:
        self._evidence, labels = evidence, evidence.scheme.labels
        self._proposals = Proposals.of(evidence.answers, evidence.scheme)
        self._group_of_line = _groups_of(evidence)
        self._of_proposals = self._group_of_line[self._proposals.lines]
        strings = self._proposals.strings(evidence.gold)
        self._told = _told(self._proposals, strings, evidence.text)
        self._lexicon = Lexicon.of(evidence.gold, labels, self._group_of_line)
        self._numbers, self._types = self._lexicon.numbers_of(strings), self._proposals.types(labels)

    def features(self, kept: Kept) -> Floats:
        """(C,features) of all proposals, as for those of kept lines."""
        groups = self._groups(kept)
        counts = np.zeros((len(self._numbers), len(self._evidence.scheme.labels) + 1), np.int64)
        for group in range(len(groups)):
            here = self._of_proposals == group
            counts[here] = self._lexicon.counts_in(groups & (np.arange(len(groups)) != group))[self._numbers[here]]
        return np.concatenate([self._told, lexicon_features(counts, self._types)], 1)

    def fit(self, kept: Kept) -> Stack:
        evidence, proposals = self._evidence, self._proposals
        gold = [set(sentence.gold) for sentence in evidence.gold]
        of_kept, features = kept[proposals.lines], self.features(kept)
        read = kept & (np.arange(len(kept)) % max(1, -(-int(of_kept.sum()) // ENOUGH)) == 0)
        ours = proposals.of_lines(read[proposals.lines], features)
        right = np.array([span in gold[line] for line, span in zip(ours.lines.tolist(), ours.spans, strict=True)], bool)
        odds = _cross_fitted(ours, right, _parts_of(evidence.gold))
        threshold = _best_threshold(ours, odds, [gold[line] if is_read else set() for line, is_read in enumerate(read)])
        lexicon = self._lexicon.restricted_to(self._groups(kept))
        return Stack(evidence.scheme.labels, Judges.fit(ours.features, right), threshold, lexicon, evidence.text)

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
    return folds * PARTS + _parts_of(evidence.gold)


def _parts_of(sentences: Sequence[Sentence]) -> NDArray[np.int64]:
    """(N,): equal texts are in one."""
    return np.array([crc32(" ".join(sentence.tokens).encode()) % PARTS for sentence in sentences], np.int64)


def _told(proposals: Proposals, strings: Sequence[String], text: TextIndex | None) -> Floats:
    """(C,F) all that is known of proposals without gold; theirs are these strings."""
    return proposals.features if text is None else np.concatenate([proposals.features, text.features(strings)], 1)


def _cross_fitted(proposals: Proposals, right: NDArray[np.bool_], part_of_line: NDArray[np.int64]) -> Floats:
    """(C,) log-odds by judges that had not seen the part of the line: those of its own would be too sure."""
    parts, odds = part_of_line[proposals.lines], np.zeros(len(right))
    for part in np.unique(parts).tolist():
        here = parts == part
        others = here if here.all() else ~here
        odds[here] = Judges.fit(proposals.features[others], right[others]).odds(proposals.features[here])
    return odds


def _regress(features: Floats, right: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Coefficients (F,) for features as they are, and the intercept, where some spans are right and others are not."""
    from sklearn.linear_model import LogisticRegression

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
