"""Stacking (Wolpert 1992): classifies candidate spans by features of the members, a lexicon and the text.

The features describe the members' marginals, the span's rivals, type and length; how often its string is an entity in
the lines learnt from, by which rank 5 of the contest rescored its ensemble; and how it occurs in all text. The
classifier averages the log-odds of a logistic regression, which needs few spans, and of boosted trees, which find
interactions. M members, C spans, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.lexicon import Lexicon, String
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.ensemble.boosting import Trees
from daguan.ensemble.combination import (
    ConfidentSpans,
    Learner,
    LineMask,
    LoadText,
    MemberMarginals,
    Method,
    OutOfFoldData,
    min_confidence,
)
from daguan.ensemble.span_candidates import Floats, SpanCandidates, lexicon_features, probability_of

PENALTY = 1.0  # inverse strength of the regression's L2 penalty, on standardised features
CERTAIN = 10.0  # nats, if all spans were right or none
CONSTANT = 1e-6
ENOUGH_FOLDS = 3
ENOUGH = 100_000  # candidates to learn from; with more, only every second line is used, or every third, …
PARTS = 4  # of each fold if there are fewer


@dataclass(frozen=True)
class SpanClassifier:
    """Predicts whether candidate spans are right.

    Attributes:
        coefficients: (F,) of the regression, for unscaled features.
        intercept: of the regression.
        trees: None if all spans were right, or none.
    """

    coefficients: tuple[float, ...]
    intercept: float
    trees: Trees | None

    @classmethod
    def fit(cls, features: Floats, right: NDArray[np.bool_]) -> SpanClassifier:
        """Fits features (C,F) and whether each span is right (C,)."""
        if right.all() or not right.any():  # there is nothing to learn
            return cls((0.0,) * features.shape[1], CERTAIN if right.any() else -CERTAIN, None)
        coefficients, intercept = _regress(features, right)
        return cls(tuple(coefficients.tolist()), intercept, Trees.fit(features, right))

    def odds(self, features: Floats) -> Floats:
        """Returns (C,) the log-odds that spans are right."""
        # a sum per row: a matrix product may round a row by the number of rows
        odds: Floats = (features * np.array(self.coefficients)).sum(1) + self.intercept
        return odds if self.trees is None else (odds + self.trees.odds(features)) / 2

    def to_json(self) -> dict[str, Any]:
        trees = self.trees.to_json() if self.trees else None
        return {"coefficients": self.coefficients, "intercept": self.intercept, "trees": trees}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SpanClassifier:
        trees = Trees.from_json(values["trees"]) if values["trees"] else None
        return cls(tuple(values["coefficients"]), values["intercept"], trees)


@dataclass(frozen=True)
class Stack:
    """Takes the non-overlapping spans with the highest log-odds above a threshold.

    Attributes:
        labels: the scheme's.
        classifier: gives log-odds.
        threshold: log-odds that a span must exceed, half of the F1 expected on some lines.
        coverage: the share of gold spans that were candidates.
        lexicon: of all lines learnt from.
        text: the index used in fitting, None if there was none; not stored in JSON.
    """

    labels: tuple[str, ...]
    classifier: SpanClassifier
    threshold: float
    coverage: float
    lexicon: Lexicon
    text: TextIndex | None = field(default=None, compare=False, repr=False)

    def spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[tuple[Span, ...]]:
        """A probability is that the span is right, by the classifier."""
        return self.chosen(*self._odds(sentences, marginals), len(sentences))

    def chosen(self, candidates: SpanCandidates, odds: Floats, lines: int) -> list[tuple[Span, ...]]:
        """Returns the spans of each of `lines` lines, of candidates with these log-odds (C,)."""
        return candidates.choose(odds - self.threshold, probability_of(odds), lines)

    def adapted_to(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> Stack:
        """Returns the stack with the threshold for the F1 expected on these lines."""
        _, odds = self._odds(sentences, marginals)
        return replace(self, threshold=half_expected_f1(odds, self.coverage))

    def confident_spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> ConfidentSpans:
        """A decision is whether to take a candidate span. Its probability is P(right) where the span is taken, 1 −
        P(right) where it is not.
        """
        candidates, odds = self._odds(sentences, marginals)
        spans = self.chosen(candidates, odds, len(sentences))
        probabilities = _by_line(candidates, odds, sentences)
        return ConfidentSpans(spans, np.array([*map(min_confidence, probabilities, spans)], np.float64))

    def candidates(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[dict[Span, float]]:
        """A probability is that the span is right, by the classifier."""
        return _by_line(*self._odds(sentences, marginals), sentences)

    def _odds(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> tuple[SpanCandidates, Floats]:
        """Returns the candidates, and (C,) the log-odds that they are right."""
        candidates = SpanCandidates.of(marginals, TagScheme(self.labels))
        strings = candidates.strings(sentences)
        return candidates, self.odds_of(candidates, strings, _gold_free_features(candidates, strings, self.text))

    def odds_of(self, candidates: SpanCandidates, strings: Sequence[String], gold_free: Floats) -> Floats:
        """Returns (C,) the log-odds that candidates of these strings, with these features that need no gold, are
        right."""
        counts = self.lexicon.counts[self.lexicon.numbers_of(strings), 0]
        known = lexicon_features(counts, candidates.types)
        return self.classifier.odds(np.concatenate([gold_free, known], 1))

    def to_json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in ("labels", "threshold", "coverage")}
        return values | {"classifier": self.classifier.to_json(), "lexicon": self.lexicon.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any], load_text: LoadText) -> Stack:
        labels = tuple(values["labels"])
        lexicon = Lexicon.from_json(values["lexicon"], len(labels))
        classifier = SpanClassifier.from_json(values["classifier"])
        return cls(labels, classifier, values["threshold"], values["coverage"], lexicon, load_text())


def _by_line(candidates: SpanCandidates, odds: Floats, sentences: Sequence[Sentence]) -> list[dict[Span, float]]:
    """Returns the probabilities of the candidates of each sentence, of log-odds (C,)."""
    found: list[dict[Span, float]] = [{} for _ in sentences]
    right = probability_of(odds).tolist()
    for line, span, probability in zip(candidates.lines.tolist(), candidates.spans, right, strict=True):
        found[line][span] = probability
    return found


class StackLearner(Learner):
    """Fits a stack. The features of a line use the lexicon of the other used groups of lines alone.

    Groups are the folds. With two folds, of which a nested score uses one, they are parts of folds: otherwise no
    lexicon could be learnt there.
    """

    def __init__(self, data: OutOfFoldData) -> None:
        self._data, labels = data, data.scheme.labels
        self._candidates = SpanCandidates.of(data.marginals, data.scheme, data.decoded)
        self._group_of_line = _groups_of(data)
        self._group_of_candidate = self._group_of_line[self._candidates.lines]
        strings = self._candidates.strings(data.gold)
        self._gold_free_features = _gold_free_features(self._candidates, strings, data.text)
        self._lexicon = Lexicon.of(data.gold, labels, self._group_of_line)
        self._numbers, self._types = self._lexicon.numbers_of(strings), self._candidates.types

    def features(self, used: LineMask) -> Floats:
        """Returns (C,F) the features of all candidates, with the lexicon of the `used` lines."""
        groups = self._groups(used)
        counts = np.zeros((len(self._numbers), len(self._data.scheme.labels) + 1), np.int64)
        for group in range(len(groups)):
            here = self._group_of_candidate == group
            counts[here] = self._lexicon.counts_in(groups & (np.arange(len(groups)) != group))[self._numbers[here]]
        return np.concatenate([self._gold_free_features, lexicon_features(counts, self._types)], 1)

    def fit(self, used: LineMask) -> Stack:
        """Fits a stack whose threshold is for the lines that are not used, if there are such lines."""
        data, candidates = self._data, self._candidates
        gold = [set(sentence.gold) for sentence in data.gold]
        of_used, features = used[candidates.lines], self.features(used)
        read = used & (np.arange(len(used)) % max(1, -(-int(of_used.sum()) // ENOUGH)) == 0)
        ours = candidates.of_lines(read[candidates.lines], features)
        right = np.array([span in gold[line] for line, span in zip(ours.lines.tolist(), ours.spans, strict=True)], bool)
        classifier = SpanClassifier.fit(ours.features, right)
        coverage = float(right.sum() / max(1, sum(len(gold[line]) for line in np.flatnonzero(read).tolist())))
        threshold = half_expected_f1(classifier.odds(features if of_used.all() else features[~of_used]), coverage)
        lexicon = self._lexicon.restricted_to(self._groups(used))
        return Stack(data.scheme.labels, classifier, threshold, coverage, lexicon, data.text)

    def held_out(self, combination: Stack, data: OutOfFoldData, lines: Sequence[int]) -> list[tuple[Span, ...]]:
        here = np.isin(self._candidates.lines, lines)
        candidates = self._candidates.of_lines(here, self._candidates.features)
        odds = combination.odds_of(candidates, candidates.strings(data.gold), self._gold_free_features[here])
        spans = combination.chosen(candidates, odds, len(data.gold))
        return [spans[line] for line in lines]

    def _groups(self, used: LineMask) -> NDArray[np.bool_]:
        """Returns (groups,) whether a group is used."""
        of_line = self._group_of_line
        groups: NDArray[np.bool_] = np.bincount(of_line[used], minlength=int(of_line.max()) + 1) > 0
        return groups


def _groups_of(data: OutOfFoldData) -> NDArray[np.int64]:
    """Returns (N,) the group of each line. Equal texts share a group, as they share a fold."""
    folds = data.fold_of_line
    if folds.max() >= ENOUGH_FOLDS - 1:
        return folds
    return folds * PARTS + _parts_of(data.gold)


def _parts_of(sentences: Sequence[Sentence]) -> NDArray[np.int64]:
    """Returns (N,) the part of each line, by a hash of its text."""
    return np.array([crc32(" ".join(sentence.tokens).encode()) % PARTS for sentence in sentences], np.int64)


def _gold_free_features(candidates: SpanCandidates, strings: Sequence[String], text: TextIndex | None) -> Floats:
    """Returns (C,F) the features that need no gold; `strings` are those of the candidates."""
    return candidates.features if text is None else np.concatenate([candidates.features, text.features(strings)], 1)


def _regress(features: Floats, right: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Returns coefficients (F,) for unscaled features, and the intercept; both classes must occur."""
    from sklearn.linear_model import LogisticRegression

    centre, spread = features.mean(0), features.std(0)
    spread[spread <= CONSTANT * (1 + np.abs(centre))] = np.inf  # constant up to rounding: no information
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit((features - centre) / spread, right)
    coefficients = model.coef_[0] / spread
    return coefficients, float(model.intercept_[0] - coefficients @ centre)


def half_expected_f1(odds: Floats, coverage: float) -> float:
    """Returns the threshold that maximises the expected F1 of candidates of these log-odds (C,), as log-odds.

    It is half of that F1 (Lipton et al. 2014, arXiv 1402.1892, theorem 1). `coverage` is the share of gold spans that
    are candidates. Each step takes those above half of the last F1 (Dinkelbach 1967), until it no longer rises.
    Returns 0 without candidates, and where none was right.
    """
    if not coverage or not len(odds):
        return 0.0
    right = probability_of(odds)
    gold, half, last = right.sum() / coverage, 0.0, -1.0
    while half > last:
        taken = right[right > half]
        half, last = taken.sum() / (len(taken) + gold), half
    return float(np.log(half / (1 - half)))


STACK = Method(StackLearner, Stack.from_json)
