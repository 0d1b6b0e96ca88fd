"""Text features are learnt once, from the prepared text, and the same every time."""

import numpy as np
import pytest

from daguan.core.types import Sentence
from daguan.data.feature_hashes import hashes
from daguan.data.pretraining_text import prepare_text
from daguan.data.vocabulary import VocabularySettings
from daguan.training import text_features as module
from daguan.training.text_features import learn, text_features


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A text in which numbers below 30 stand beside each other, and those above beside each other."""
    monkeypatch.setattr(module, "CLUSTERINGS", (2, 5))
    rng = np.random.default_rng(0)
    lines = [
        Sentence(tuple(map(str, rng.integers(30 * half, 30 * half + 30, 10)))) for half in (0, 1) for _ in range(300)
    ]
    prepare_text(tmp_path, tmp_path / "corpus.txt", lines, VocabularySettings(min_count=1))
    return tmp_path


def test_learning_twice_gives_the_same(prepared):
    one, other = learn(prepared, 1), learn(prepared, 1)
    assert (one.clusters == other.clusters).all()
    assert (one.strings == other.strings).all()


def test_tokens_with_the_same_neighbours_share_a_cluster(prepared):
    found = learn(prepared, 1)
    cluster = dict(zip(found.tokens.tolist(), found.clusters[:, 0].tolist(), strict=True))
    halves = [{cluster[int(one)] for one in hashes(map(str, range(30 * half, 30 * half + 30)))} for half in (0, 1)]
    assert halves in ([{1}, {2}], [{2}, {1}])
    assert set(found.clusters[:, 1].tolist()) == {1, 2, 3, 4, 5}


def test_features_are_learnt_once_for_a_seed(prepared, monkeypatch):
    first = text_features(prepared, 1)
    monkeypatch.setattr(module, "learn", lambda prepared, seed: pytest.fail("learnt again"))
    assert (text_features(prepared, 1).strings == first.strings).all()
    with pytest.raises(pytest.fail.Exception, match="learnt again"):
        text_features(prepared, 2)
