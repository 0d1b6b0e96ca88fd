from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daguan.core.errors import DataError
from daguan.core.types import Sentence, Span
from daguan.data.format import (
    format_labelled,
    format_unlabelled,
    parse_labelled,
    parse_segments,
    parse_unlabelled,
    read_labelled,
    read_unlabelled,
    write_lines,
)
from pieces import sentence_of

BLANK_CHARACTERS = [chr(code) for code in range(0x110000) if chr(code).isspace()] + [*"\u180e\u200b\u2060\ufeff"]
CHARACTER = st.sampled_from("17/aoO-é线\0\u200d") | st.characters(
    exclude_categories=["Cs"], exclude_characters=["_", "\uff3f", *BLANK_CHARACTERS]
)
TOKENS = st.lists(st.text(CHARACTER, min_size=1, max_size=4), min_size=1, max_size=3)
PIECES = st.lists(st.tuples(TOKENS, st.sampled_from(["o", "o", "a", "b", "c", "x1", "per"])), min_size=1, max_size=6)


def line_of(pieces):
    return "  ".join(f"{'_'.join(tokens)}/{label}" for tokens, label in pieces)


@given(PIECES)
@example([(["/", "a/o"], "a"), (["//"], "o")])
def test_a_line_is_read_as_written_by_hand_with_neighbouring_o_as_one(pieces):
    assert parse_labelled(line_of(pieces)) == sentence_of(pieces)


@given(PIECES)
def test_parse_inverts_format(pieces):
    sentence = sentence_of(pieces)
    assert parse_labelled(format_labelled(sentence)) == sentence
    assert parse_unlabelled(format_unlabelled(sentence)).tokens == sentence.tokens


@given(PIECES)
def test_format_inverts_parse_up_to_merged_o(pieces):
    line = format_labelled(sentence_of(pieces))
    assert format_labelled(parse_labelled(line)) == line
    labels = [label for _, label in parse_segments(line)]
    assert (None, None) not in pairwise(labels)


@given(st.lists(PIECES, min_size=1, max_size=4), st.booleans(), st.booleans(), st.booleans())
def test_files_are_read_as_written_with_or_without_cr_bom_and_final_newline(tmp_path_factory, lines, cr, bom, final):
    sentences = list(map(sentence_of, lines))
    path = tmp_path_factory.mktemp("format") / "train.txt"
    write_lines(path, map(format_labelled, sentences))
    assert read_labelled(path) == sentences
    content = path.read_bytes().replace(b"\n", b"\r\n" if cr else b"\n")
    path.write_bytes(b"\xef\xbb\xbf" * bom + content + (b"\r\n" if cr else b"\n") * final)
    assert read_labelled(path) == sentences


@given(st.lists(PIECES, min_size=1, max_size=4))
def test_unlabelled_files_are_read_as_written(tmp_path_factory, lines):
    sentences = [Sentence(sentence_of(pieces).tokens) for pieces in lines]
    path = tmp_path_factory.mktemp("format") / "test.txt"
    write_lines(path, map(format_unlabelled, sentences))
    assert read_unlabelled(path) == sentences


def test_the_line_of_the_contest():
    sentence = parse_labelled("7_8/a  9/o  10/b")
    assert sentence == Sentence(("7", "8", "9", "10"), (Span(0, 2, "a"), Span(3, 4, "b")))
    assert parse_unlabelled("7_8_9_10") == Sentence(("7", "8", "9", "10"))


def test_adjacent_entities_of_one_type_stay_two():
    assert parse_labelled("7/a  8/a").spans == (Span(0, 1, "a"), Span(1, 2, "a"))


def test_the_last_slash_ends_the_token():
    assert parse_labelled("1/2_/o/b") == Sentence(("1/2", "/o"), (Span(0, 2, "b"),))


def test_write_lines_puts_lf_between_lines_and_none_at_the_end(tmp_path):
    write_lines(tmp_path / "x", ["7/a", "8/o", "线/o"])
    assert (tmp_path / "x").read_bytes() == "7/a\n8/o\n线/o".encode()


@pytest.mark.parametrize("blank", sorted({*BLANK_CHARACTERS} - {" ", "\n"}), ids=ascii)
def test_every_blank_of_unicode_inside_a_line_is_refused(tmp_path, blank):
    """Copied from a page or typed in full width, it looks like a space between two segments. None of them ends a
    line."""
    for content in (f"9/o\n7{blank}8/a\n9/o", f"9/o\n7/a{blank}{blank}8/o\n9/o", f"9/o\n7_{blank}/a\n9/o"):
        (tmp_path / "x").write_text(content, encoding="utf-8", newline="")
        with pytest.raises(DataError, match=r"x:2: expected (tokens without white space|segments joined by exactly)"):
            read_labelled(tmp_path / "x")
    with pytest.raises(ValueError, match="expected tokens without white space"):
        parse_unlabelled(f"7{blank}8")


def test_a_full_width_separator_is_refused():
    for line in ("7\uff3f8/a", "7_8\uff3f/o"):
        with pytest.raises(ValueError, match="got the full-width"):
            parse_labelled(line)


SEGMENT = "expected segments joined by exactly two spaces, got "
BLANKS = "expected tokens without white space, joined by '_', got "
EMPTY = "expected tokens joined by single '_', got an empty token in "
LABEL = "expected tokens/label with a lower-case label, got "
BLANK_LINE = "expected segments such as 7_8/a, got an empty line"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": expected at least one line, got an empty file"),
        (b"\xef\xbb\xbf", f":1: {BLANK_LINE}"),
        (b"\n", f":1: {BLANK_LINE}"),
        (b"7/a\n\n8/o\n", f":2: {BLANK_LINE}"),
        (b"7/a\r\n\r\n8/o", f":2: {BLANK_LINE}"),
        (b"7/a\n8/o\n\n", f":3: {BLANK_LINE}"),
        (b"7/a\n  \n8/o", f":2: {SEGMENT}'' after two"),
        (b"7/a  ", f":1: {SEGMENT}'' after two"),
        (b"  7/a", f":1: {SEGMENT}'' after two"),
        (b"7/a    8/o", f":1: {SEGMENT}'' after two"),
        (b"7/a   8/o", f":1: {SEGMENT}' 8/o' after two"),
        (b" 7/a", f":1: {SEGMENT}' 7/a' after two"),
        (b"7/a 8/o", f":1: {BLANKS}'7/a 8'"),
        (b"7/a\t8/o", f":1: {BLANKS}'7/a\\t8'"),
        (b"7\r8/o", f":1: {BLANKS}'7\\r8'"),
        (b"7/a\n\xef\xbb\xbf8/o", f":2: {BLANKS}'\\ufeff8'"),
        (b"7/a ", f":1: {LABEL}'7/a '"),
        (b"7/a\r\r\n", f":1: {LABEL}'7/a\\r'"),
        (b"7__8/a", f":1: {EMPTY}'7__8'"),
        (b"9/o\n_7/a", f":2: {EMPTY}'_7'"),
        (b"7_/a", f":1: {EMPTY}'7_'"),
        (b"_/a", f":1: {EMPTY}'_'"),
        (b"9/o  /a", ":1: expected tokens before '/a', got none"),
        (b"9/o\n8/o  7", f":2: {LABEL}'7'"),
        (b"7/", f":1: {LABEL}'7/'"),
        (b"7/A", f":1: {LABEL}'7/A'"),
        (b"7/O", f":1: {LABEL}'7/O'"),
        (b"7/1", f":1: {LABEL}'7/1'"),
        ("7/é".encode(), f":1: {LABEL}'7/é'"),
        (b"7/a\n8/o\n9_\xff/o", ":3: expected UTF-8, got byte 0xff"),
        (b"\xef\xbb\xbf7/a\xe7\xba", ":1: expected UTF-8, got byte 0xe7"),
        (b"\xff\xfe7\x00/\x00a\x00", ":1: expected UTF-8, got byte 0xff"),
    ],
)
def test_a_bad_labelled_file_is_refused_naming_file_and_line(tmp_path, content, message):
    path = tmp_path / "train.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_labelled(path)
    assert str(error.value) == f"{path}{message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": expected at least one line, got an empty file"),
        (b"7_8\n\n9", ":2: expected tokens joined by '_', got an empty line"),
        (b"7_8\n\n", ":2: expected tokens joined by '_', got an empty line"),
        (b"7_8\n7 8", f":2: {BLANKS}'7 8'"),
        (b"7_8/a  9/o", f":1: {BLANKS}'7_8/a  9/o'"),
        (b"7_8 ", f":1: {BLANKS}'7_8 '"),
        (b"7__8", f":1: {EMPTY}'7__8'"),
        (b"7_8_", f":1: {EMPTY}'7_8_'"),
        (b"7_\x80", ":1: expected UTF-8, got byte 0x80"),
    ],
)
def test_a_bad_unlabelled_file_is_refused_naming_file_and_line(tmp_path, content, message):
    path = tmp_path / "test.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_unlabelled(path)
    assert str(error.value) == f"{path}{message}"


def test_a_token_is_in_memory_once_however_often_it_is_read(tmp_path):
    (tmp_path / "train.txt").write_text("1234_线/a  1234/o\n线_1234/o", "utf-8")
    (tmp_path / "test.txt").write_text("线_1234", "utf-8")
    lines = [*read_labelled(tmp_path / "train.txt"), *read_unlabelled(tmp_path / "test.txt")]
    tokens = [token for line in lines for token in line.tokens]
    assert len(tokens) == 7
    assert len({id(token) for token in tokens}) == 2


@pytest.mark.parametrize("read", [read_labelled, read_unlabelled])
def test_a_missing_file_and_a_directory_are_refused(tmp_path, read):
    with pytest.raises(DataError) as error:
        read(tmp_path / "no.txt")
    assert str(error.value) == f"{tmp_path}/no.txt: expected a file, got nothing at that path"
    with pytest.raises(DataError) as error:
        read(tmp_path)
    assert str(error.value) == f"{tmp_path}: expected a file, got a directory"


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"7/a")
    with pytest.raises(DataError):
        read_labelled(tmp_path / "train.txt" / "x")


def test_a_message_stays_short_however_long_the_line(tmp_path):
    path = tmp_path / "x"
    path.write_text("7_" * 10_000 + "8")
    with pytest.raises(DataError) as error:
        read_labelled(path)
    assert len(str(error.value)) < len(str(path)) + 120
