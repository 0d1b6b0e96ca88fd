"""Gradient-boosted trees (Friedman 2001) for yes or no, fitted by scikit-learn and kept as plain numbers.

C rows, F features, T trees of N nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SETTINGS = {
    "max_iter": 150,
    "learning_rate": 0.05,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "l2_regularization": 5.0,
    "early_stopping": False,
    "random_state": 0,  # drawn by are only the rows that set the bins, where there are very many
}
ROWS = 4_096  # walked down all trees at once


@dataclass(frozen=True)
class Trees:
    """Of each node (T,N) the feature it asks for and the threshold up to which it goes to its left child, both
    children, which of a leaf are itself, and the leaf's value; and what all trees add to, the log-odds of any row."""

    features: NDArray[np.int64]
    thresholds: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: Floats
    start: float
    depth: int

    @classmethod
    def fit(cls, features: Floats, right: NDArray[np.bool_]) -> Trees:
        """To features (C,F) and yes or no (C,), of which there is either."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "openmp"):  # a sum over threads would depend on how many there are
            model = HistGradientBoostingClassifier(**SETTINGS).fit(features, right)
        trees = [predictor.nodes for (predictor,) in model._predictors]
        return cls.of_nodes(trees, float(model._baseline_prediction[0, 0]))

    @classmethod
    def of_nodes(cls, trees: list[Any], start: float) -> Trees:
        """Of scikit-learn's arrays of nodes, one a tree."""
        size = max(map(len, trees))
        own = np.tile(np.arange(size), (len(trees), 1))
        asked, thresholds, values = np.zeros_like(own), np.zeros(own.shape), np.zeros(own.shape)
        left, right = own.copy(), own.copy()
        for tree, nodes in enumerate(trees):
            inner, count = nodes["is_leaf"] == 0, len(nodes)
            asked[tree, :count][inner] = nodes["feature_idx"][inner]
            thresholds[tree, :count][inner] = nodes["num_threshold"][inner]
            left[tree, :count][inner] = nodes["left"][inner]
            right[tree, :count][inner] = nodes["right"][inner]
            values[tree, :count] = nodes["value"]
        return cls(asked, thresholds, left, right, values, start, max(int(nodes["depth"].max()) for nodes in trees))

    def odds(self, features: Floats) -> Floats:
        """(C,) log-odds of features (C,F). A row's do not depend on the others."""
        parts = [self._odds(features[low : low + ROWS]) for low in range(0, len(features), ROWS)]
        return np.concatenate([np.zeros(0), *parts])

    def _odds(self, features: Floats) -> Floats:
        trees = np.arange(len(self.values))
        places = np.zeros((len(features), len(trees)), np.int64)
        for _ in range(self.depth):
            known = np.take_along_axis(features, self.features[trees, places], 1)
            goes_left = known <= self.thresholds[trees, places]
            places = np.where(goes_left, self.left[trees, places], self.right[trees, places])
        total: Floats = self.values[trees, places].sum(1) + self.start
        return total

    def to_json(self) -> dict[str, Any]:
        tables = ("features", "thresholds", "left", "right", "values")
        return {name: getattr(self, name).tolist() for name in tables} | {"start": self.start, "depth": self.depth}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Trees:
        features, left, right = (np.array(values[name], np.int64) for name in ("features", "left", "right"))
        thresholds, leaves = (np.array(values[name], np.float64) for name in ("thresholds", "values"))
        return cls(features, thresholds, left, right, leaves, float(values["start"]), int(values["depth"]))
