"""Fragments: where they lie, what is read, fed and asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.data.batches.fragments import AT_END, AT_START, cut_fragments, fragment_length
from daguan.data.batches.masking import MaskingSettings
from daguan.data.vocabulary import CLS, MASK, SEP, SPECIALS

V = 50


def rows(count: int, length: int) -> np.ndarray:
    ids = np.random.default_rng(0).integers(len(SPECIALS), V, (count, length))
    ids[:, 5::7] = SEP
    ids[:, 0] = CLS
    return ids


@given(length=st.sampled_from([8, 16, 33]), share=st.floats(0.01, 1.0), seed=st.integers(0, 9))
def test_what_is_asked_for_and_fed_is_the_text_before_anything_was_masked(length: int, share: float, seed: int) -> None:
    ids = rows(6, length)
    original = ids.copy()
    part = cut_fragments(ids, share, V, MaskingSettings(), np.random.default_rng(seed))
    assert np.array_equal(ids, original)
    count = fragment_length(length, share)
    assert part.positions.shape == (6, count)
    assert (np.diff(part.positions, axis=1) == 1).all()
    assert part.positions.min() >= 1
    assert part.positions.max() < length
    assert np.array_equal(part.labels, np.take_along_axis(original, part.positions, 1))
    assert np.array_equal(part.fed, np.take_along_axis(original, part.positions - 1, 1))
    outside = np.ones(ids.shape, dtype=bool)
    np.put_along_axis(outside, part.positions, False, 1)
    assert np.array_equal(part.inputs[outside], original[outside])


def test_a_fifth_of_the_fragments_begins_the_row_a_fifth_ends_it_and_the_others_lie_anywhere() -> None:
    count, length = 20_000, 16
    part = cut_fragments(rows(count, length), 0.5, V, MaskingSettings(), np.random.default_rng(0))
    places = length - part.positions.shape[1]  # where a fragment can begin: 1 to this
    starts = np.bincount(part.positions[:, 0], minlength=places + 1)[1:]
    expected = np.full(places, (1 - AT_START - AT_END) / places)
    expected[0] += AT_START
    expected[-1] += AT_END
    statistic = ((starts - count * expected) ** 2 / (count * expected)).sum()
    assert statistic < 29  # 7 degrees of freedom: p < 2e-4


@pytest.mark.parametrize(("keep", "random"), [(0.1, 0.1), (0.0, 0.0), (0.3, 0.5)])
def test_inside_tokens_are_masked_kept_or_exchanged_by_their_shares(keep: float, random: float) -> None:
    masking = MaskingSettings(keep=keep, random=random)
    part = cut_fragments(rows(2000, 33), 0.5, V, masking, np.random.default_rng(0))
    read = np.take_along_axis(part.inputs, part.positions, 1)
    assert (read == MASK).mean() == pytest.approx(1 - keep - random, abs=0.01)
    drawn_the_same = random / (V - len(SPECIALS))
    assert (read == part.labels).mean() == pytest.approx(keep + drawn_the_same, abs=0.01)
