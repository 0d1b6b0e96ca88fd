"""Drawn labels follow the probabilities of spans, and every blend gives such probabilities."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from daguan.core.seeds import stream
from daguan.core.types import Span
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.drawing import Draws, draw_spans, overlap
from daguan.ensemble.labelling import combine_marginals
from noisy_members import noisy_data

GIVEN = noisy_data((1.5, 2.5, 2.0), lines=45)
DRAWS = 4000
ALONE = {Span(0, 1, "a"): 0.2, Span(1, 3, "b"): 0.9, Span(4, 5, "a"): 1.0, Span(6, 7, "a"): 0.0}
RIVALS = {Span(0, 2, "a"): 0.5, Span(0, 2, "b"): 0.2, Span(1, 2, "a"): 0.3}


def frequencies(probabilities: dict[Span, float]) -> dict[Span, float]:
    rng, counts = stream(1, "draws"), Counter[Span]()
    for _ in range(DRAWS):
        counts.update(draw_spans(probabilities, rng))
    return {span: counts[span] / DRAWS for span in probabilities}


@pytest.mark.parametrize("probabilities", [ALONE, RIVALS, ALONE | {Span(8, 9, "a"): 0.4, Span(8, 9, "b"): 0.6}, {}])
def test_spans_are_drawn_with_their_probabilities(probabilities: dict[Span, float]) -> None:
    """Alone, and as rivals that exclude each other: here one of three always is right."""
    assert frequencies(probabilities) == pytest.approx(probabilities, abs=4 * 0.5 / DRAWS**0.5)


def test_drawn_spans_never_overlap_whatever_the_probabilities() -> None:
    rng = stream(2, "draws")
    for _ in range(300):
        starts = rng.integers(0, 8, 12).tolist()
        spans = {Span(start, start + 1 + int(rng.integers(0, 4)), "ab"[int(rng.integers(0, 2))]) for start in starts}
        found = draw_spans({span: float(rng.random()) for span in spans}, rng)
        assert list(found) == sorted(found)
        assert not any(overlap(one, other) for one, other in pairwise(found))


@cache
def fitted(method: str) -> Any:
    return METHODS[method].load().learner(GIVEN).fit(np.ones(45, bool))


@pytest.mark.parametrize("method", METHODS)
def test_the_chosen_spans_are_candidates_with_the_same_probability(method: str) -> None:
    combination = fitted(method)
    candidates = combination.candidates(GIVEN.gold, GIVEN.marginals)
    for chosen, found in zip(combination.spans(GIVEN.gold, GIVEN.marginals), candidates, strict=True):
        assert {span: found[span] for span in chosen} == pytest.approx({span: span.probability for span in chosen})
        assert all(0 <= probability <= 1 for probability in found.values())
    assert sum(map(len, candidates)) > sum(map(len, combination.spans(GIVEN.gold, GIVEN.marginals)))


@pytest.mark.parametrize("method", METHODS)
def test_drawn_lines_have_as_many_entities_as_expected(method: str) -> None:
    combination, rng = fitted(method), stream(3, "draws")
    expected = sum(sum(found.values()) for found in combination.candidates(GIVEN.gold, GIVEN.marginals))
    drawn = combine_marginals(GIVEN.gold, GIVEN.marginals, combination, Draws(rng, 10))
    turns = [drawn[turn::10] for turn in range(10)]
    assert all([line.sentence.tokens for line in turn] == [line.tokens for line in GIVEN.gold] for turn in turns)
    counts = [sum(len(line.sentence.gold) for line in turn) for turn in turns]
    assert len({tuple(line.sentence.gold for line in turn) for turn in turns}) > 5
    assert np.mean(counts) == pytest.approx(expected, rel=0.15)
