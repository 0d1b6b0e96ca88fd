"""The worth of a member is what a blend without it loses, computed with what all these blends share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daguan.core.types import Sentence
from daguan.data.span_score import span_score
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.blending import nested_spans
from daguan.report.tracks import FINAL, GOLD, Labelled, Track
from daguan.report.worth import shared_data, without_each, worths
from noisy_members import noisy_data

NOISES = (1.5, 2.5, 3.5)


@pytest.mark.parametrize("method", ["mean", "stack"])
def test_it_is_that_of_plain_blends_of_the_other_members(method: str) -> None:
    data = noisy_data(NOISES)
    learner = METHODS[method].load().learner
    whole = nested_spans(learner(data), data)
    found = Labelled(
        train=list(data.gold),
        test=[],
        tracks=[Track("gold", GOLD, [line.gold for line in data.gold], None), Track("blend", FINAL, whole, None)],
        fold_of_line=data.fold_of_line,
        scheme=data.scheme,
        members=["one", "two", "three"],
        marginals=data.marginals,
        test_marginals=[],
    )
    shared = shared_data(replace(data, marginals=()), found, method)
    without = without_each(shared, method)
    ours = worths(found, whole, without)
    for number, name in enumerate(found.members):
        alone = replace(data, marginals=[one for other, one in enumerate(data.marginals) if other != number])
        spans = nested_spans(learner(alone), alone)
        assert without[number] == spans
        lines = [Sentence(line.tokens, its) for line, its in zip(data.gold, spans, strict=True)]
        blend = [Sentence(line.tokens, its) for line, its in zip(data.gold, whole, strict=True)]
        lost = span_score(blend, data.gold).f1 - span_score(lines, data.gold).f1
        low, high = ours["interval"][name]
        assert ours["without"][name] == pytest.approx(lost)
        assert low <= lost <= high
        for fold in range(3):
            here = np.flatnonzero(data.fold_of_line == fold).tolist()
            gold = [data.gold[n] for n in here]
            part = span_score([blend[n] for n in here], gold).f1 - span_score([lines[n] for n in here], gold).f1
            assert ours["by_fold"][name][fold] == pytest.approx(part)
