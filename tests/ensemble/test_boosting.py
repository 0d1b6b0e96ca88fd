"""Our trees are scikit-learn's, row for row."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from daguan.ensemble.boosting import ROWS, SETTINGS, Trees

RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(900, 6)).round(1)  # ties, and values on thresholds
RIGHT = FEATURES[:, 0] * FEATURES[:, 1] + 0.3 * RNG.normal(size=900) > 0


@pytest.fixture(scope="module")
def trees() -> Trees:
    return Trees.fit(FEATURES, RIGHT)


def test_they_say_what_scikit_learns_say(trees: Trees) -> None:
    with threadpool_limits(1, "openmp"):
        model = HistGradientBoostingClassifier(**SETTINGS).fit(FEATURES, RIGHT)
    others = np.concatenate([RNG.normal(size=(ROWS, 6)), FEATURES, np.full((2, 6), 1e9)])
    assert trees.odds(others) == pytest.approx(model.decision_function(others), abs=1e-9)
    assert ((trees.odds(FEATURES) > 0) == RIGHT).mean() > 0.85


def test_a_row_does_not_depend_on_the_others(trees: Trees) -> None:
    whole = trees.odds(FEATURES)
    assert np.array_equal(whole[:1], trees.odds(FEATURES[:1]))
    assert np.array_equal(whole[7:31], trees.odds(FEATURES[7:31]))
    assert trees.odds(FEATURES[:0]).shape == (0,)


def test_json_gives_back_the_same(trees: Trees) -> None:
    again = Trees.from_json(json.loads(json.dumps(trees.to_json())))
    assert np.array_equal(again.odds(FEATURES), trees.odds(FEATURES))
    assert again.to_json() == trees.to_json()


def test_few_rows_are_all_alike() -> None:
    few = Trees.fit(FEATURES[:30], RIGHT[:30])
    assert few.odds(FEATURES) == pytest.approx(np.full(900, few.odds(FEATURES[:1])[0]))
    assert few.start == pytest.approx(np.log(RIGHT[:30].mean() / (1 - RIGHT[:30].mean())))
