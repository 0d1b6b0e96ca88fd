"""Columns and JSON of a page are read back as they were, and no text of theirs ends a script."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.report.columns import bytes_of, offsets, packed, unpacked
from daguan.report.page_json import page_json


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_a_column_is_read_back(values: list[int]) -> None:
    assert unpacked(packed(values)).tolist() == values


@pytest.mark.parametrize(("high", "kind"), [(255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4")])
def test_a_column_has_the_smallest_type(high: int, kind: str) -> None:
    assert packed([0, high])["type"] == kind


def test_probabilities_keep_two_digits_and_offsets_sum_lengths() -> None:
    p = np.linspace(0, 1, 1001)
    assert np.abs(bytes_of(p) / 255 - p).max() <= 0.5 / 255
    assert offsets([2, 0, 3]).tolist() == [0, 2, 2, 5]


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=20), max_size=3))
def test_json_of_a_page_is_json_without_a_tag(value: dict[str, str]) -> None:
    text = page_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)
