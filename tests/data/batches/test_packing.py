"""Packing: the token file and its blocks hold the distinct lines, token for token."""

import re
from collections import Counter
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daguan.core.errors import CheckpointError, DataError, WriteError
from daguan.data.batches import packing
from daguan.data.batches.packing import Blocks, NumberedText, TokenLines, token_file, write_token_file
from daguan.data.format import iter_corpus
from daguan.data.vocabulary import CLS, SEP, SPECIALS, UNK, Vocabulary, VocabularySettings, count_to_vocabulary

TOKENS = st.integers(0, 9).map(str) | st.sampled_from(["词", "a/b", "[SEP]"])
LINES = st.lists(st.lists(TOKENS, min_size=1, max_size=6).map("_".join))


def random_lines(count: int, seed: int = 0) -> list[str]:
    """Lines of 1 to 12 tokens, some of them twice."""
    rng = np.random.default_rng(seed)
    lines = ["_".join(map(str, rng.integers(0, 40, rng.integers(1, 13)))) for _ in range(count)]
    return lines + lines[::7]


def numbered(lines: list[str]) -> NumberedText:
    text = NumberedText(BytesIO())
    for line in lines:
        text.add(line)
    return text


def vocabulary_of(text: NumberedText, min_count: int = 1) -> Vocabulary:
    return count_to_vocabulary(text.counts(), VocabularySettings(min_count=min_count))


def write_lines(path: Path, lines: list[str]) -> Vocabulary:
    """The token file of the lines; returns their vocabulary."""
    text = numbered(lines)
    vocabulary = vocabulary_of(text)
    write_token_file(path, text.ids(vocabulary))
    return vocabulary


def ids_of(text: NumberedText, vocabulary: Vocabulary) -> list[int]:
    return [id for chunk in text.ids(vocabulary) for id in chunk.tolist()]


def decoded(ids: list[int], vocabulary: Vocabulary) -> list[str]:
    """The lines again, as the entries of their ids."""
    entries = "_".join(vocabulary.entries[id] if id != SEP else "\n" for id in ids)
    return entries.removesuffix("_\n").split("_\n_") if ids else []


def stream_of(lines: list[str], vocabulary: Vocabulary) -> list[int]:
    return [id for line in lines for id in (*vocabulary.encode(line.split("_")), SEP)]


@pytest.fixture
def lines() -> list[str]:
    return list(dict.fromkeys(random_lines(200)))


@given(LINES)
@examples(deadline=None)
def test_the_ids_are_the_distinct_lines_in_order_of_first_sight(lines):
    text = numbered(lines)
    vocabulary = Vocabulary([*SPECIALS, *sorted(text.counts().keys() - set(SPECIALS))])
    unknown = [re.sub(r"\[SEP\]", "[UNK]", line) for line in dict.fromkeys(lines)]
    assert decoded(ids_of(text, vocabulary), vocabulary) == unknown
    assert (text.lines, text.distinct_lines, text.blank_lines) == (len(lines), len(unknown), 0)


@given(LINES)
@examples(deadline=None)
def test_token_counts_are_those_of_the_distinct_lines_in_order_of_first_sight(lines):
    counts = numbered(lines).counts()
    expected = Counter(token for line in dict.fromkeys(lines) for token in line.split("_"))
    assert list(counts.items()) == list(expected.items())
    assert counts.most_common() == expected.most_common()


@given(LINES, LINES, st.integers(1, 9))
@examples(deadline=None)
def test_neither_counts_nor_ids_depend_on_the_chunks(lines, more, chunk):
    whole = numbered(lines + more)
    vocabulary = vocabulary_of(whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "CHUNK", chunk)
        text = numbered(lines)
        assert ids_of(text, vocabulary) == stream_of(list(dict.fromkeys(lines)), vocabulary)
        next(text.ids(vocabulary), None)  # reading, even in part, changes nothing for what is added later
        for line in more:
            text.add(line)
        assert text.counts() == whole.counts()
        assert all(len(part) <= chunk for part in text.ids(vocabulary))
        assert ids_of(text, vocabulary) == ids_of(whole, vocabulary)


@pytest.mark.parametrize("length", [16, 48, 128])
def test_blocks_in_a_row_are_the_stream_of_lines_up_to_the_unused_tail(tmp_path, lines, length):
    expected = stream_of(lines, write_lines(tmp_path / "tokens.u2", lines))
    blocks = Blocks(tmp_path / "tokens.u2", length)
    ids = blocks.take(np.arange(len(blocks)))
    assert ids.shape == (len(blocks), length)
    assert (ids[:, 0] == CLS).all()
    read = ids[:, 1:].ravel().tolist()
    assert read == expected[: len(read)]
    assert len(expected) - len(read) < length - 1


def test_a_corpus_file_comes_back_from_the_token_file(tmp_path):
    lines = random_lines(200)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(lines), encoding="utf-8")
    with TemporaryFile(dir=tmp_path) as scratch:
        text = NumberedText(scratch)
        text.add_corpus(corpus, iter_corpus(corpus))
        vocabulary = vocabulary_of(text)
        write_token_file(tmp_path / "tokens.u2", text.ids(vocabulary))
    ids = np.fromfile(tmp_path / "tokens.u2", "<u2").tolist()
    assert decoded(ids, vocabulary) == list(dict.fromkeys(lines))
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.txt", "tokens.u2"}


def test_blocks_are_taken_in_the_order_asked_for(tmp_path, lines):
    write_lines(tmp_path / "tokens.u2", lines)
    blocks = Blocks(tmp_path / "tokens.u2", 16)
    everything = blocks.take(np.arange(len(blocks)))
    asked = np.array([3, 0, 3])
    assert (blocks.take(asked) == everything[asked]).all()
    assert blocks.take(asked).dtype == np.int64


def test_rare_tokens_are_unknown():
    text = numbered(["1_2_1"])
    assert ids_of(text, vocabulary_of(text, min_count=2)) == [5, UNK, 5, SEP]


def test_two_and_four_byte_files_hold_the_same_ids(tmp_path, lines):
    expected = stream_of(lines, write_lines(tmp_path / "tokens.u2", lines))
    write_lines(tmp_path / "tokens.u4", lines)
    assert np.fromfile(tmp_path / "tokens.u2", "<u2").tolist() == expected
    assert np.fromfile(tmp_path / "tokens.u4", "<u4").tolist() == expected
    two, four = Blocks(tmp_path / "tokens.u2", 32), Blocks(tmp_path / "tokens.u4", 32)
    assert (two.take(np.arange(len(two))) == four.take(np.arange(len(four)))).all()


def test_two_bytes_are_used_as_long_as_every_id_fits(tmp_path):
    assert token_file(tmp_path, (1 << 16) + 1).suffix == ".u4"
    path = token_file(tmp_path, 1 << 16)
    vocabulary = Vocabulary((*SPECIALS, *map(str, range(5, 1 << 16))))
    write_token_file(path, numbered(["65535"]).ids(vocabulary))
    assert path.suffix == ".u2"
    assert np.fromfile(path, "<u2").tolist() == [65535, SEP]


def test_a_failed_run_leaves_no_token_file(tmp_path, lines, monkeypatch):
    monkeypatch.setattr(packing, "CHUNK", 100)

    def chunks(scratch):
        text = NumberedText(scratch)
        for line in lines:
            text.add(line)
        yield from text.ids(vocabulary_of(text))
        raise OSError("no space left")

    with pytest.raises(WriteError, match="no space left"), TemporaryFile(dir=tmp_path) as scratch:
        write_token_file(tmp_path / "tokens.u2", chunks(scratch))
    assert list(tmp_path.iterdir()) == []


def test_blank_lines_are_counted_and_skipped(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"1_2\n\n3\r\n\r\n\n1_2")
    text = NumberedText(BytesIO())
    text.add_corpus(path, iter_corpus(path))
    assert text.counts() == {"1": 1, "2": 1, "3": 1}
    assert (text.lines, text.distinct_lines, text.blank_lines) == (3, 2, 3)


@pytest.mark.parametrize("damaged", ["1__2", "1 2", "_1", "2_", " ", "1_\u3000_\t"])
def test_a_damaged_line_is_named_by_file_and_line(tmp_path, damaged):
    path = tmp_path / "corpus.txt"
    path.write_text(f"1_2\n\n{damaged}\n3\n{damaged}", encoding="utf-8")
    text = NumberedText(BytesIO())
    with pytest.raises(DataError, match=re.escape(f"{path}:3: ") + ".*" + re.escape(repr(damaged))):
        text.add_corpus(path, iter_corpus(path))


@pytest.mark.parametrize("damaged", ["", "1__2", "1\n2", "\n"])
def test_a_line_that_is_no_token_list_is_not_added(damaged):
    with pytest.raises(ValueError, match="expected tokens"):
        numbered(["1_2", damaged])


def test_a_short_file_is_repeated_to_one_block_to_learn_from_and_one_to_hold_out(tmp_path):
    write_lines(tmp_path / "tokens.u2", ["1_2", "3"])
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


def test_the_token_file_s_lines_are_the_text_s_as_often_as_asked(lines, tmp_path):
    text = numbered(lines)
    vocabulary = vocabulary_of(text, min_count=30)
    write_token_file(tmp_path / "tokens.u2", text.ids(vocabulary))
    known = [[token if token in vocabulary else "[UNK]" for token in line.split("_")] for line in lines]
    assert any("[UNK]" in line for line in known)
    found = TokenLines(tmp_path / "tokens.u2", vocabulary)
    assert list(found) == known
    assert list(found) == known


def test_of_the_token_file_only_the_end_is_read_if_asked(lines, tmp_path):
    text = numbered(lines)
    vocabulary = vocabulary_of(text, min_count=1)
    write_token_file(tmp_path / "tokens.u2", text.ids(vocabulary))
    last = lines[-1].split("_")
    assert list(TokenLines(tmp_path / "tokens.u2", vocabulary, len(last) + 1)) == [last]
    assert list(TokenLines(tmp_path / "tokens.u2", vocabulary, len(last))) == [last[1:]]
