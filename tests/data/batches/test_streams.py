"""Streams cover the training blocks and nothing else, in the order of the text, and say where they break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daguan.data.batches.packing import Blocks
from daguan.data.batches.streams import Streams, independent_segments
from daguan.data.vocabulary import CLS, SEP

T = 8
COUNT = 43


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    """A text in which each id stands once, but for a [SEP] every fifth place."""
    ids = np.arange(10, 10 + COUNT * (T - 1))
    ids[4::5] = SEP
    ids.astype("<u2").tofile(tmp_path / "tokens.u2")
    return Blocks(tmp_path / "tokens.u2", T)


TRAIN = np.array([number for number in range(COUNT) if number not in (0, 7, 20, 21, 42)])


@pytest.mark.parametrize("count", [1, 3, 4, 38, 50])
def test_each_stream_reads_its_stretch_once_an_epoch_in_both_directions(blocks: Blocks, count: int) -> None:
    """All stretches together are the training blocks; labels are what is read, so each id is predicted once."""
    streams = Streams(blocks, TRAIN, count)
    lengths = streams.length
    assert count > len(TRAIN) or lengths.sum() == len(TRAIN)
    assert lengths.max() - lengths.min() <= 1
    first = [streams.at(update) for update in range(lengths.max())]
    for side, step in ((0, 1), (1, -1)):
        found = {}
        for row, length in enumerate(lengths):
            text = np.concatenate([one.labels[row, side] for one in first[:length]])[::step]
            found[row] = np.where(text == CLS, SEP, text)
        expected = blocks.ids(TRAIN).flatten()
        if count <= len(TRAIN):
            assert np.array_equal(np.concatenate(list(found.values())), expected)
        assert set(np.concatenate(list(found.values()))) == set(expected)
    again = streams.at(int(lengths[0]))
    assert np.array_equal(again.labels[0], first[0].labels[0])
    assert again.fresh[0].all()


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_stream_reads_on_or_says_that_it_does_not(blocks: Blocks, count: int) -> None:
    """What is read first is the last id predicted before, wherever the segment follows on."""
    streams, breaks = Streams(blocks, TRAIN, count), 0
    for update in range(int(streams.length.max())):
        now = streams.at(update)
        for row in range(count):
            for side, begin in enumerate((CLS, SEP)):
                read, labels = now.inputs[row, side], now.labels[row, side]
                if now.fresh[row, side]:
                    assert read[0] == begin
                    breaks += 1
                else:
                    last = streams.at(update - 1).labels[row, side, -1]
                    assert read[0] == (begin if last in (CLS, SEP) else last)
                assert [x for x in read[1:] if x >= 10] == [x for x in labels[:-1] if x >= 10]
    assert breaks >= 2 * count + 2 * 2  # at the start, and at 7, 20 and 21 unless a stream begins there


def test_a_line_s_ends_are_read_as_its_beginnings(blocks: Blocks) -> None:
    """Forwards [SEP] is predicted and [CLS] read, backwards the other way about: a tagger's frame."""
    for one in (Streams(blocks, TRAIN, 3).at(1), independent_segments(blocks, TRAIN[:4])):
        assert not (one.inputs[:, 0] == SEP).any()
        assert not (one.inputs[:, 1] == CLS).any()
        assert not (one.labels[:, 0] == CLS).any()
        assert not (one.labels[:, 1] == SEP).any()
        assert (one.labels[:, 0] == SEP).any()
        assert (one.labels[:, 1] == CLS).any()


def test_no_held_out_id_is_read_or_predicted(blocks: Blocks) -> None:
    held_out = set(blocks.ids(np.setdiff1d(np.arange(COUNT), TRAIN)).flatten()) - {SEP}
    streams = Streams(blocks, TRAIN, 4)
    for update in range(int(streams.length.max())):
        one = streams.at(update)
        assert not held_out & set(one.inputs.flatten())
        assert not held_out & set(one.labels.flatten())


def test_blocks_alone_begin_anew_and_are_predicted_whole(blocks: Blocks) -> None:
    one = independent_segments(blocks, TRAIN[:5])
    assert one.fresh.all()
    restored = np.where(one.labels[:, 0] == CLS, SEP, one.labels[:, 0])
    assert np.array_equal(restored, blocks.ids(TRAIN[:5]))
    assert (one.inputs[:, :, 0] == [CLS, SEP]).all()
