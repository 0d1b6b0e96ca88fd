"""The shift from the training lines to the test lines, and the drop of F1 to expect of it.

A classifier tells both apart (Lopez-Paz and Oquab 2017, arXiv 1610.06545). Its odds weigh the training lines so that
they resemble the test lines (Shimodaira 2000), and the weighted out-of-fold score estimates the score on these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from daguan.core.seeds import stream_seed
from daguan.core.types import Score, Sentence
from daguan.data.span_score import span_scores
from daguan.report.tracks import Labelled
from daguan.training.prediction import annotate

FEATURES = 1 << 18
FOLDS = 5
LARGEST = 20.0  # weight of a line, so that no single one decides
FEWEST = 2 * FOLDS  # lines of each side


@dataclass(frozen=True)
class Shift:
    """What the classifier found.

    Attributes:
        auc: the area under its ROC curve on lines that it has not seen; 0.5 means that it cannot tell both apart.
        f1: the out-of-fold span F1 of the submitted answer.
        expected: the same, with the lines weighted as the test lines.
        effective: the number of equally weighted lines that say as much (Kish 1965).
    """

    auc: float
    f1: float
    expected: float
    effective: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def shift(labelled: Labelled, seed: int) -> Shift | None:
    """Returns the shift, None where there are too few lines for a classifier."""
    train, test = labelled.train, labelled.test
    if min(len(train), len(test)) < FEWEST:
        return None
    is_test = np.arange(len(train) + len(test)) >= len(train)
    features = FeatureHasher(FEATURES, input_type="string", alternate_sign=False).transform(
        map(_features, [*train, *test])
    )
    features = features[:, features.getnnz(0) > 1]  # what one line alone has says nothing of another
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=stream_seed(seed, "shift") % (1 << 32))
    model = LogisticRegression(C=0.1, max_iter=200)
    p = cross_val_predict(model, features, is_test, cv=folds, method="predict_proba")[:, 1]
    auc = float(roc_auc_score(is_test, p))
    odds = p[~is_test] / np.maximum(1 - p[~is_test], 1e-6) * len(train) / len(test)
    weights = np.minimum(odds, LARGEST)
    scores = span_scores(annotate(train, labelled.final.train), annotate(train, labelled.gold.train))
    expected = _weighted_f1(scores, weights)
    return Shift(auc, sum(scores, Score()).f1, expected, float(weights.sum() ** 2 / (weights**2).sum()))


def _features(line: Sentence) -> list[str]:
    """Returns the distinct tokens and pairs of a line, and its length in powers of two."""
    pairs = zip(line.tokens, line.tokens[1:], strict=False)
    return [*{*line.tokens}, *{f"{a} {b}" for a, b in pairs}, f"  {len(line.tokens).bit_length()}"]


def _weighted_f1(scores: Sequence[Score], weights: NDArray[np.float64]) -> float:
    """Returns F1 with the counts of each line times its weight."""
    hits = np.array([score.hits for score in scores]) @ weights
    total = np.array([score.predicted + score.gold for score in scores]) @ weights
    return float(2 * hits / total) if total else 0.0
