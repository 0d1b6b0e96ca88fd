"""The loss against brute force and differences, and its minimum against CRFsuite."""

from itertools import islice

import numpy as np
import pytest
from benchmarks.crfsuite import crfsuite

from daguan.core.types import Sentence, Span
from daguan.data.ngram_features import features
from daguan.data.tags import TagScheme
from daguan.data.text_features import NO_FEATURE
from daguan.families import ngram_crf_training
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.families.ngram_crf_training import CrfLoss, minimise

SCHEME = TagScheme(("a",))


def lines(count: int, seed: int = 0) -> list[Sentence]:
    """Lines of few tokens, where 7 begins an entity more often than not."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        tokens = tuple(map(str, rng.integers(3, 10, rng.integers(1, 9))))
        starts = [i for i, token in enumerate(tokens[:-1]) if token == "7" and rng.random() < 0.7]
        spans = [Span(i, i + 2, "a") for i in starts if i - 1 not in starts]
        found.append(Sentence(tokens, tuple(spans)))
    return found


def loss_of(sentences, c2=0.1, min_count=1):
    rows, lengths = features([sentence.tokens for sentence in sentences])
    gold = np.concatenate([SCHEME.encode(len(one.tokens), one.gold) for one in sentences])
    return CrfLoss(rows, lengths, gold, c2, min_count), rows, lengths, gold


def test_the_gradient_is_that_of_differences(monkeypatch):
    monkeypatch.setattr(ngram_crf_training, "COMMON", 4)
    loss, *_ = loss_of(lines(6), c2=0.3)
    rng = np.random.default_rng(1)
    at, along = 0.3 * rng.normal(size=(2, len(loss.multiples)))
    width = 1e-2  # sums are in single precision
    slope = (loss(at + width * along)[0] - loss(at - width * along)[0]) / (2 * width)
    assert loss(at)[1] @ along == pytest.approx(slope, rel=1e-3)


def test_equal_columns_share_a_parameter_and_nothing_else_changes(monkeypatch):
    """The losses and weights of each iteration are those without rare features."""
    found = []
    for common in (1, 3, 10**9):
        monkeypatch.setattr(ngram_crf_training, "COMMON", common)
        loss, *_ = loss_of(lines(30))
        steps = minimise(loss, np.zeros(len(loss.multiples)), 0.1 * loss.multiples)
        found.append((loss, [(value, loss.states(parameters)[2]) for parameters, value in islice(steps, 12)]))
    losses, steps = zip(*found, strict=True)
    assert len(losses[0].multiples) > len(losses[1].multiples) > len(losses[2].multiples)  # none is shared, some, all
    for loss in losses[1:]:
        names, others = (one.states(np.zeros(len(one.multiples)))[:2] for one in (loss, losses[0]))
        for one, other in zip(names, others, strict=True):
            assert (one == other).all()
    for first, second, third in zip(*steps, strict=True):
        assert first[0] == pytest.approx(second[0], rel=1e-4) == pytest.approx(third[0], rel=1e-4)
        assert first[1] == pytest.approx(second[1], abs=2e-3)
        assert first[1] == pytest.approx(third[1], abs=2e-3)


@pytest.mark.parametrize(("c1", "c2", "min_count"), [(0.05, 0.003, 1), (0.3, 0.1, 2), (0.0, 0.1, 1)])
def test_the_minimum_is_that_of_crfsuite(c1, c2, min_count):
    sentences = lines(60)
    settings = NgramCrfSettings(c1=c1, c2=c2, iterations=500, min_count=min_count)
    _, losses = crfsuite(sentences, SCHEME, settings)
    loss, *_ = loss_of(sentences, c2, min_count)
    ours = [value for _, value in minimise(loss, np.zeros(len(loss.multiples)), c1 * loss.multiples)]
    assert ours[-1] == pytest.approx(losses[-1], rel=2e-3)
    assert (np.diff(ours) < 0).all()
    if c1:  # where CRFsuite's search for a step is the same
        assert ours[:4] == pytest.approx(losses[:4], rel=1e-3)


def test_no_weight_belongs_to_no_feature_nor_to_what_is_rare():
    sentences = lines(40)
    loss, rows, lengths, gold = loss_of(sentences, min_count=5)
    names, tags, _ = loss.states(np.zeros(len(loss.multiples)))
    for name, tag in zip(names, tags, strict=True):
        assert ((rows == name).any(1) & (gold == tag)).sum() >= 5
    rows[:, 3] = NO_FEATURE
    without = CrfLoss(rows, lengths, gold, 0.1, 1)
    assert NO_FEATURE not in without.states(np.zeros(len(without.multiples)))[0]


def test_a_loss_that_overflows_is_no_number_and_warns_of_nothing() -> None:
    loss, *_ = loss_of(lines(20))
    assert not np.isfinite(loss(np.full(len(loss.multiples), 1e6))[0])


def test_a_step_to_where_the_loss_is_no_number_is_shortened() -> None:
    """x - log x has its minimum at 1 and no value below 0, where the second step from 5 would lead."""
    tried = []

    def loss(x):
        tried.append(x[0])
        return (x[0] - np.log(x[0]) if x[0] > 0 else np.nan), 1 - 1 / x

    *_, (found, _) = minimise(loss, np.array([5.0]), np.zeros(1))
    assert min(tried) < 0
    assert found == pytest.approx(1.0, abs=1e-3)
