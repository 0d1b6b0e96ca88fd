"""Packing: the token file and its blocks hold the distinct lines, token for token."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daguan.batches import packing
from daguan.batches.packing import (
    Blocks,
    TextCounter,
    corpus_lines,
    count_tokens,
    distinct,
    token_file,
    write_token_file,
)
from daguan.core.errors import CheckpointError, DataError
from daguan.text.vocabulary import CLS, SEP, UNK, Vocabulary, VocabularySettings, count_to_vocabulary


def random_lines(count: int, seed: int = 0) -> list[str]:
    """Lines of 1 to 12 tokens, some of them twice."""
    rng = np.random.default_rng(seed)
    lines = ["_".join(map(str, rng.integers(0, 40, rng.integers(1, 13)))) for _ in range(count)]
    return lines + lines[::7]


def vocabulary_of(lines: list[str], min_count: int = 1) -> Vocabulary:
    return count_to_vocabulary(count_tokens(lines), VocabularySettings(min_count=min_count))


def stream_of(lines: list[str], vocabulary: Vocabulary) -> list[int]:
    return [id for line in lines for id in (*vocabulary.encode(line.split("_")), SEP)]


@pytest.fixture
def lines() -> list[str]:
    return list(dict.fromkeys(random_lines(200)))


@pytest.mark.parametrize("length", [16, 48, 128])
def test_blocks_in_a_row_are_the_stream_of_lines_up_to_the_unused_tail(tmp_path, lines, length):
    vocabulary = vocabulary_of(lines)
    expected = stream_of(lines, vocabulary)
    assert write_token_file(tmp_path / "tokens.u2", lines, vocabulary) == len(expected)
    blocks = Blocks(tmp_path / "tokens.u2", length)
    ids = blocks.take(np.arange(len(blocks)))
    assert ids.shape == (len(blocks), length)
    assert (ids[:, 0] == CLS).all()
    read = ids[:, 1:].ravel().tolist()
    assert read == expected[: len(read)]
    assert len(expected) - len(read) < length - 1


def test_a_corpus_file_comes_back_from_the_blocks_token_for_token(tmp_path):
    (tmp_path / "corpus.txt").write_text("\n".join(random_lines(200)), encoding="utf-8")
    counter = TextCounter()
    lines = list(distinct(corpus_lines(tmp_path / "corpus.txt", counter), counter))
    vocabulary = vocabulary_of(lines)
    write_token_file(tmp_path / "tokens.u2", lines, vocabulary)
    blocks = Blocks(tmp_path / "tokens.u2", 16)
    entries = [vocabulary.entries[id] for id in blocks.take(np.arange(len(blocks)))[:, 1:].ravel()]
    whole = " ".join(entries).split(" [SEP]")[:-1]
    assert len(whole) >= len(lines) - 15
    assert [line.split() for line in whole] == [line.split("_") for line in lines[: len(whole)]]


def test_blocks_are_taken_in_the_order_asked_for(tmp_path, lines):
    write_token_file(tmp_path / "tokens.u2", lines, vocabulary_of(lines))
    blocks = Blocks(tmp_path / "tokens.u2", 16)
    everything = blocks.take(np.arange(len(blocks)))
    asked = np.array([3, 0, 3])
    assert (blocks.take(asked) == everything[asked]).all()
    assert blocks.take(asked).dtype == np.int64


def test_rare_tokens_are_written_as_unknown(tmp_path):
    vocabulary = vocabulary_of(["1_2_1"], min_count=2)
    write_token_file(tmp_path / "tokens.u2", ["1_2_1"], vocabulary)
    assert np.fromfile(tmp_path / "tokens.u2", "<u2").tolist() == [5, UNK, 5, SEP]


def test_two_and_four_byte_files_hold_the_same_ids(tmp_path, lines):
    vocabulary = vocabulary_of(lines)
    for name in ("tokens.u2", "tokens.u4"):
        write_token_file(tmp_path / name, lines, vocabulary)
    two, four = Blocks(tmp_path / "tokens.u2", 32), Blocks(tmp_path / "tokens.u4", 32)
    assert (tmp_path / "tokens.u4").stat().st_size == 2 * (tmp_path / "tokens.u2").stat().st_size
    assert (two.take(np.arange(len(two))) == four.take(np.arange(len(four)))).all()


def test_two_bytes_are_used_as_long_as_every_id_fits(tmp_path):
    assert token_file(tmp_path, (1 << 16) + 1).suffix == ".u4"
    path = token_file(tmp_path, 1 << 16)
    vocabulary = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(5, 1 << 16))))
    write_token_file(path, ["65535"], vocabulary)
    assert path.suffix == ".u2"
    assert np.fromfile(path, "<u2").tolist() == [65535, SEP]


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_file_does_not_depend_on_how_it_is_buffered(tmp_path, lines, monkeypatch, chunk):
    vocabulary = vocabulary_of(lines)
    write_token_file(tmp_path / "whole.u2", lines, vocabulary)
    monkeypatch.setattr(packing, "CHUNK", chunk)
    assert write_token_file(tmp_path / "parts.u2", lines, vocabulary) == len(stream_of(lines, vocabulary))
    assert (tmp_path / "parts.u2").read_bytes() == (tmp_path / "whole.u2").read_bytes()


@given(st.lists(st.sampled_from(["1", "2", "1_2", "3_3", "4"])))
@examples(deadline=None)
def test_distinct_keeps_the_first_of_each_text_in_order_and_counts(lines):
    counter = TextCounter()
    assert list(distinct(lines, counter)) == list(dict.fromkeys(lines))
    assert counter == TextCounter(lines=len(lines), distinct_lines=len(set(lines)))


@given(st.lists(st.lists(st.integers(0, 9).map(str), min_size=1).map("_".join)))
@examples(deadline=None)
def test_token_counts_are_those_of_the_text(lines):
    counts = count_tokens(lines)
    text = "_".join(lines).split("_") if lines else []
    assert counts == {token: text.count(token) for token in set(text)}


def test_blank_lines_are_counted_and_skipped(tmp_path):
    (tmp_path / "corpus.txt").write_bytes(b"1_2\n\n3\r\n\r\n\n1_2")
    counter = TextCounter()
    assert list(distinct(corpus_lines(tmp_path / "corpus.txt", counter), counter)) == ["1_2", "3"]
    assert counter.snapshot() == {"lines": 3, "distinct_lines": 2, "blank_lines": 3}


@pytest.mark.parametrize("damaged", ["1__2", "1 2", "_1", " "])
def test_a_damaged_line_is_named_by_file_and_line(tmp_path, damaged):
    path = tmp_path / "corpus.txt"
    path.write_text(f"1_2\n\n{damaged}\n3", encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(f"{path}:3: ")):
        list(corpus_lines(path, TextCounter()))


def test_a_short_file_is_repeated_to_one_block_to_learn_from_and_one_to_hold_out(tmp_path):
    write_token_file(tmp_path / "tokens.u2", ["1_2", "3"], vocabulary_of(["1_2", "3"]))
    blocks = Blocks(tmp_path / "tokens.u2", 16)
    assert len(blocks) == 2
    assert blocks.take(np.arange(2))[:, 1:].ravel().tolist() == ([5, 6, SEP, 7, SEP] * 6)[:30]
    assert [len(part) for part in blocks.split(0)] == [1, 1]


@pytest.mark.parametrize("count", [2, 9, 10, 55, 1279, 3000])
def test_the_split_is_a_partition_drawn_by_the_seed(tmp_path, count):
    np.arange(count * 15, dtype="<u4").tofile(tmp_path / "tokens.u4")
    blocks = Blocks(tmp_path / "tokens.u4", 16)
    train, held_out = blocks.split(3)
    assert sorted([*train, *held_out]) == list(range(count))
    assert len(held_out) == max(1, min(128, count // 10))
    assert all((first == again).all() for first, again in zip(blocks.split(3), (train, held_out), strict=True))
    if count >= 55:
        assert blocks.split(4)[1].tolist() != held_out.tolist()


def test_a_missing_token_file_is_a_checkpoint_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"tokens\.u2"):
        Blocks(tmp_path / "tokens.u2", 16)
