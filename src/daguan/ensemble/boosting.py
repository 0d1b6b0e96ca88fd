"""Gradient-boosted trees (Friedman 2001) for binary classification, fitted by scikit-learn and stored as plain numbers.

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
    "random_state": 0,  # it only draws the rows that set the bins, if there are very many
}
ROWS = 4_096  # evaluated at once


@dataclass(frozen=True)
class Trees:
    """Fitted trees.

    Attributes:
        features, thresholds: (T,N) a row goes left where the feature is at most the threshold.
        left, right: (T,N) the children; a leaf is its own child.
        values: (T,N) the values of leaves.
        start: the log-odds to which all trees add.
        depth: of the deepest tree.
    """

    features: NDArray[np.int64]
    thresholds: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: Floats
    start: float
    depth: int

    @classmethod
    def fit(cls, features: Floats, right: NDArray[np.bool_]) -> Trees:
        """Fits features (C,F) to classes (C,), both of which must occur."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "openmp"):  # sums would depend on the number of threads
            model = HistGradientBoostingClassifier(**SETTINGS).fit(features, right)
        trees = [predictor.nodes for (predictor,) in model._predictors]
        return cls.of_nodes(trees, float(model._baseline_prediction[0, 0]))

    @classmethod
    def of_nodes(cls, trees: list[Any], start: float) -> Trees:
        """Converts scikit-learn's arrays of nodes, one a tree."""
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
        """Returns (C,) the log-odds of features (C,F). Rows do not influence each other."""
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
