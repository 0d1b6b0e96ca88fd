"""Pairs: two segments of one text, swapped or with another's second in half of the rows, and nothing else tells."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from daguan.core.errors import DataError
from daguan.core.seeds import stream
from daguan.data.batches.masking import MOST, MaskingSettings, mask, places_per_row
from daguan.data.batches.packing import Blocks
from daguan.data.batches.pairs import PAIRINGS, PairText, replace_second, sentence_ends, swap_segments
from daguan.data.vocabulary import CLS, MASK, SEP, SPECIALS

T = 64


def pair_text(folder: Path, lengths: np.ndarray, length: int = T) -> PairText:
    """Returns a text of lines of the given lengths; all tokens differ, so that each can be found again."""
    ids = [np.append(np.arange(n) + start, SEP) for n, start in zip(lengths, np.cumsum(lengths) - lengths, strict=True)]
    stream_of_ids = np.concatenate(ids)
    stream_of_ids[stream_of_ids != SEP] += len(SPECIALS)
    stream_of_ids.astype("<u4").tofile(folder / "tokens.u4")
    return PairText(Blocks(folder / "tokens.u4", length))


@pytest.fixture
def text(tmp_path: Path) -> PairText:
    """Lines of 1 to 30 tokens, and now and then one that is longer than a block."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 31, 3000)
    lengths[::50] = 150
    return pair_text(tmp_path, lengths)


def tokens(ids: np.ndarray) -> list[int]:
    return [id for id in ids.tolist() if id >= len(SPECIALS)]


def whole(chunk: int, text: PairText) -> np.ndarray:
    return text.text[text.starts[chunk] : text.starts[chunk] + text.width]


def test_the_sentences_are_the_lines_and_even_parts_of_long_ones() -> None:
    assert sentence_ends(np.array([3, 10, 40, 41]), 10).tolist() == [3, 10, 20, 30, 40, 41]
    assert sentence_ends(np.array([3, 14]), 10).tolist() == [3, 8, 14]
    assert sentence_ends(np.array([15]), 1).tolist() == list(range(1, 16))


def test_chunks_begin_at_sentences_evenly_and_hold_two_or_more(text: PairText) -> None:
    assert text.width == T - 2
    numbers = np.searchsorted(np.append(0, text.ends), text.starts)
    assert len(set(np.diff(numbers))) == 1  # by no rule of their lengths
    assert all(len(text.sentences(chunk)[1]) >= 2 for chunk in range(len(text.starts)))
    covered = np.zeros(len(text.text), dtype=bool)
    for start in text.starts:
        covered[start : start + text.width] = True
    assert covered.mean() > 0.8


@pytest.mark.parametrize("task", PAIRINGS)
def test_a_pair_is_a_block_with_cls_first_and_sep_last(text: PairText, task: str) -> None:
    chunks = np.arange(len(text.starts))
    ids, labels = PAIRINGS[task](text, chunks, chunks, stream(0, task))
    assert ids.shape == (len(chunks), T)
    assert (ids[:, 0] == CLS).all()
    assert (ids[:, 1:] != CLS).all()
    assert (ids[:, -1] == SEP).all()
    assert set(labels.tolist()) == {0, 1}


@pytest.mark.parametrize("task", PAIRINGS)
def test_as_many_pairs_are_changed_as_not(text: PairText, task: str) -> None:
    chunks = np.arange(len(text.starts))
    labels = np.concatenate([PAIRINGS[task](text, chunks, chunks, stream(0, task, epoch))[1] for epoch in range(5)])
    assert abs(labels.mean() - 0.5) < 3 * 0.5 / np.sqrt(len(labels))


def test_segments_in_order_are_the_text_and_swapped_ones_are_it_turned(text: PairText) -> None:
    chunks = np.arange(len(text.starts))
    for chunk, row, label in zip(chunks, *swap_segments(text, chunks, chunks, stream(0, "sop")), strict=True):
        expected, got = tokens(whole(chunk, text)), tokens(row)
        turns = [place for place, (a, b) in enumerate(pairwise(got), start=1) if a > b]
        if label:  # the second, the first, the rest
            (turn,) = turns
            size = expected.index(got[0])
            turned = expected[size : size + turn] + expected[:size] + expected[size + turn :]
            assert turned[: len(got)] == got
        else:
            assert not turns
            assert expected[: len(got)] == got
        assert len(expected) - len(got) <= 3  # for separators


def test_a_pair_is_parted_after_any_of_its_lines_alike(tmp_path: Path) -> None:
    text = pair_text(tmp_path, np.full(2000, 11))  # five lines of twelve ids a chunk
    chunks = np.arange(len(text.starts))
    ids, _ = swap_segments(text, chunks, chunks, stream(0, "sop"))
    cuts = [int(np.flatnonzero((row[:-1] == SEP) & (row[1:] == SEP))[0]) for row in ids]
    counts = np.bincount(cuts, minlength=T)
    assert set(np.flatnonzero(counts)) == {12, 24, 36, 48}
    expected = len(chunks) / 4
    assert ((counts[[12, 24, 36, 48]] - expected) ** 2 / expected).sum() < 21  # 3 degrees of freedom: p < 1e-4


@pytest.mark.parametrize("task", PAIRINGS)
def test_the_shape_of_a_pair_does_not_tell_its_class(tmp_path: Path, task: str) -> None:
    """Where lines are independent and none is parted."""
    text = pair_text(tmp_path, np.random.default_rng(0).geometric(0.08, 4000).clip(max=30))
    chunks = np.arange(len(text.starts))
    drawn = [PAIRINGS[task](text, chunks, chunks, stream(1, task, epoch)) for epoch in range(8)]
    ids, labels = np.concatenate([ids for ids, _ in drawn]), np.concatenate([labels for _, labels in drawn])
    borders = (ids[:, :-1] == SEP) & (ids[:, 1:] == SEP)
    shapes = {
        "border": borders[:, :-1].argmax(1),
        "last line": (ids[:, ::-1][:, 1:] == SEP).argmax(1),
        "first line": (ids == SEP).argmax(1),
        "lines": (ids == SEP).sum(1),
    }
    for name, shape in shapes.items():
        one, other = shape[labels == 0], shape[labels == 1]
        sigma = np.sqrt(one.var() / len(one) + other.var() / len(other))
        assert abs(one.mean() - other.mean()) < 4 * sigma, name


def test_a_second_segment_follows_or_begins_another_chunk_of_the_pool(text: PairText) -> None:
    chunks = np.arange(0, len(text.starts), 2)
    pool = chunks
    begins = {tokens(whole(chunk, text))[0] for chunk in pool}
    for chunk, row, label in zip(chunks, *replace_second(text, chunks, pool, stream(0, "nsp")), strict=True):
        expected, got = tokens(whole(chunk, text)), tokens(row)
        if not label:
            assert expected[: len(got)] == got
            continue
        same = next(place for place, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b)
        assert got[same] in begins - {expected[0]}


def test_chunks_to_train_on_share_nothing_with_the_held_out_blocks(text: PairText) -> None:
    held_out_blocks = text.blocks.split(3)[1]
    train, held_out = text.split(held_out_blocks)
    assert sorted([*train, *held_out]) == list(range(len(text.starts)))
    hidden = np.zeros(text.blocks.rows.shape, dtype=bool)
    hidden[held_out_blocks] = True
    shares = [hidden.ravel()[start : start + text.width].any() for start in text.starts]
    assert np.flatnonzero(shares).tolist() == held_out.tolist()


@pytest.mark.parametrize("length", [16, 32, 128])
@pytest.mark.parametrize("line", [1, 2, 3])
@pytest.mark.parametrize("task", PAIRINGS)
def test_pairs_of_short_lines_have_places_enough_for_every_rate(
    tmp_path: Path, length: int, line: int, task: str
) -> None:
    text = pair_text(tmp_path, np.full(600, line), length)
    chunks = np.arange(len(text.starts))
    ids, _ = PAIRINGS[task](text, chunks, chunks, stream(0, task))
    masked = mask(ids, 10_000, MaskingSettings(rate=MOST), stream(0, "mask"))
    assert masked.positions.shape == (len(chunks), places_per_row(length, MOST))
    assert (masked.labels > MASK).all()


@pytest.mark.parametrize("task", PAIRINGS)
def test_one_long_line_is_parted_within(tmp_path: Path, task: str) -> None:
    text = pair_text(tmp_path, np.array([5000]))
    chunks = np.arange(len(text.starts))
    ids, labels = PAIRINGS[task](text, chunks, chunks, stream(0, task))
    borders = (ids[:, :-1] == SEP) & (ids[:, 1:] == SEP)
    assert (borders[:, :-1].sum(1) == 1).all()
    assert 0 < labels.mean() < 1


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    text = pair_text(tmp_path, np.full(10, 11))
    with pytest.raises(DataError, match="sentence pairs: expected text"):
        text.split(text.blocks.split(0)[1])
