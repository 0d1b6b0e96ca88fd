"""A count table is read by falling frequency, and a bad line is named."""

import pytest

from daguan.core.errors import DataError
from daguan.data.frequency_table import read_by_frequency


def test_tokens_come_by_falling_count_and_ties_as_in_the_file(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("of\t90\nthe 100\n的\t90\nrare 0\n", "utf-8")
    assert read_by_frequency(path) == ["the", "of", "的", "rare"]


@pytest.mark.parametrize("line", ["", "the", "the\t", "the  9", "the\t-9", "the\t9.5", "9\tthe", "a the 9"])
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "counts.txt"
    path.write_text(f"of\t90\n{line}\n", "utf-8")
    with pytest.raises(DataError, match=r"counts\.txt:2: expected token<TAB or space>count, got"):
        read_by_frequency(path)


def test_a_token_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("of\t90\nthe\t80\nof\t70", "utf-8")
    with pytest.raises(DataError, match=r"counts\.txt:3: expected each token once, got 'of' again"):
        read_by_frequency(path)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        read_by_frequency(tmp_path / "nowhere.txt")
