"""Scored spans against brute force over all sets that do not overlap, and against the tag scheme."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from daguan.core.types import Span
from daguan.data.tags import TagScheme
from daguan.nn.spans import (
    gold_spans,
    span_at_each_token,
    span_marginals,
    spans_within,
    tag_marginals,
    tags_of_spans,
)

TWO = TagScheme(("a", "b"))


def legal_sets(length: int) -> list[tuple[Span, ...]]:
    """Every set of disjoint spans of two types, found by decoding every sequence of tags."""
    sets = []
    for path in product(range(len(TWO)), repeat=length):
        try:
            sets.append(TWO.decode(path))
        except ValueError:
            continue
    return sets


def full(length: int) -> Tensor:
    return torch.ones(1, length, dtype=torch.bool)


def as_index(span: Span) -> tuple[int, int, int]:
    return span.start, span.stop - 1, TWO.labels.index(span.label)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_marginals_are_those_of_all_sets_that_do_not_overlap(length: int) -> None:
    weights = 2 * torch.randn(1, length, length, 2, dtype=torch.double, generator=torch.Generator().manual_seed(length))
    sets = legal_sets(length)
    scores = torch.stack([sum((weights[0][as_index(s)] for s in spans), torch.zeros(()).double()) for spans in sets])
    chances = scores.softmax(0)
    expected = torch.zeros(length, length, 2).double()
    tags = torch.zeros(length, len(TWO)).double()
    for chance, spans in zip(chances, sets, strict=True):
        for span in spans:
            expected[as_index(span)] += chance
        tags[range(length), torch.from_numpy(TWO.encode(length, spans))] += chance
    found = span_marginals(weights, full(length))
    assert torch.allclose(found[0], expected, atol=1e-12)
    assert torch.allclose(tag_marginals(found, full(length))[0].double(), tags, atol=1e-6)


def test_padding_changes_nothing_and_gets_nothing() -> None:
    weights = torch.randn(2, 6, 6, 3, generator=torch.Generator().manual_seed(1)) * 3
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    both = span_marginals(weights, mask)
    alone = span_marginals(weights[1:, :4, :4], mask[1:, :4])
    assert torch.allclose(both[1, :4, :4], alone[0])
    assert both[1, 4:].abs().max() == both[1, :, 4:].abs().max() == 0
    tags = tag_marginals(both, mask)
    assert torch.allclose(tags.sum(2), mask.float(), atol=1e-6)
    wild = weights.where(spans_within(mask).unsqueeze(3), torch.tensor(1e9))
    assert torch.equal(span_marginals(wild, mask), both)


@pytest.mark.parametrize("scale", [1e-3, 30.0, 1e4])
def test_weights_of_any_size_give_probabilities(scale: float) -> None:
    weights = scale * torch.randn(3, 40, 40, 2, generator=torch.Generator().manual_seed(2))
    found = span_marginals(weights, torch.ones(3, 40, dtype=torch.bool))
    assert torch.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-9
    covered = tag_marginals(found, torch.ones(3, 40, dtype=torch.bool))
    assert torch.allclose(covered.sum(2), torch.ones(3, 40), atol=1e-5)


def test_a_span_spelled_is_as_the_scheme_encodes_it() -> None:
    spans = [Span(i, j, label) for i in range(4) for j in range(i + 1, 5) for label in TWO.labels]
    first, last, kind = torch.tensor([as_index(span) for span in spans]).unbind(1)
    assert tags_of_spans(first, last, kind, 5).tolist() == [TWO.encode(5, [span]).tolist() for span in spans]


def test_a_span_alone_has_the_chance_its_log_odds_say() -> None:
    weights = torch.full((1, 3, 3, 1), -50.0)
    weights[0, 0, 1, 0] = 0.7
    assert float(span_marginals(weights, full(3))[0, 0, 1, 0]) == pytest.approx(1 / (1 + np.exp(-0.7)))


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from("oab")), min_size=1, max_size=8))
def test_gold_spans_are_those_the_scheme_decodes(runs: list[tuple[int, str]]) -> None:
    spans, place = [], 0
    for length, label in runs:
        if label != "o":
            spans.append(Span(place, place + length, label))
        place += length
    tags = torch.from_numpy(TWO.encode(place, spans)).unsqueeze(0)
    twice = torch.cat([tags, torch.zeros_like(tags), tags])
    everywhere = torch.ones_like(twice, dtype=torch.bool)
    found = gold_spans(twice, everywhere)
    assert found.tolist() == [[row, *as_index(span)] for row in (0, 2) for span in spans]
    at_tokens, real = span_at_each_token(twice, everywhere)
    assert at_tokens[real].equal(found)
    assert at_tokens[:, :2].equal(everywhere.nonzero())
    assert (at_tokens[:, 1] <= at_tokens[:, 2]).all()
