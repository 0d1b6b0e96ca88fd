"""Which folders `predict` takes, and how what it is to label is read."""

import json
import os

import pytest

from daguan.core.errors import CheckpointError, DataError
from daguan.core.types import Span
from daguan.formats.code_book import CodeBook
from daguan.formats.table import find_format
from daguan.formats.translation import Translation
from daguan.pipeline.predict import _format_to_label, _read
from daguan.pipeline.work.predict import find_models

BOOK = CodeBook({"Ann": "0", "went": "1", "A": "2"}, {"PER": "per"})


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="expected a blend, a finished run or a model, got none"):
        find_models(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "with_a_book", "without"),
    [
        ("a.txt", "7_8_9\n7", "contest", "contest"),
        ("a.txt", "7_8/a  9/o", "contest", "contest"),
        ("a.txt", "x_y", "text", "contest"),
        ("a.txt", "Ann went", "text", "contest"),
        ("a.txt", "and/or", "text", "contest"),
        ("a.txt", "EU B-ORG\nsays O\n", "conll", "conll"),
        ("a.txt", '{"text": "Ann"}', "jsonl", "jsonl"),
        ("a.json", '[{"data": {"text": "Ann"}}]', "label-studio", "label-studio"),
        ("a.conll", "Ann\n", "conll", "conll"),
        ("brat/a.ann", "", "brat", "brat"),
    ],
)
def test_the_format_is_found_by_name_and_content(name, content, with_a_book, without, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, "utf-8")
    source = path.parent if path.parent != tmp_path else path
    assert _format_to_label(source, Translation(BOOK)) == with_a_book
    assert _format_to_label(source, Translation()) == without


def test_a_pipe_is_read_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert find_format(path) is None
    assert _format_to_label(path, Translation(BOOK)) == "contest"


def test_a_text_is_cut_as_that_of_the_data_was(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "Ann\nwent"}), "utf-8")

    def tokens(**reading):
        return [sentence.tokens for sentence in _read(path, "jsonl", Translation(BOOK, reading)).sentences]

    assert tokens() == [("0",), ("1",)]
    assert tokens(whole=True) == [("0", "1")]
    assert tokens(tokens="characters", whole=True) == [("2", "?n", "?n", "?w", "?e", "?n", "?t")]


def test_labels_of_what_is_to_be_labelled_do_not_matter(tmp_path):
    """They may overlap, cut tokens, or reach over the end of a line, without which the same lines are read."""
    path, plain = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    text = "Ann\nwent on"
    path.write_text(json.dumps({"text": text, "label": [[0, 8, "PER"], [2, 6, "X"], [3, 3, "Y"]]}), "utf-8")
    plain.write_text(json.dumps({"text": text}), "utf-8")
    found, expected = (_read(one, "jsonl", Translation(BOOK)) for one in (path, plain))
    assert (found.sentences, found.lines) == (expected.sentences, expected.lines)
    assert [document.spans for document in found.documents] == [None]


def test_offsets_outside_a_text_are_a_fault_of_the_file(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "Ann", "label": [[0, 9, "PER"]]}), "utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:1: expected offsets within 3 characters, got 0 and 9"):
        _read(path, "jsonl", Translation(BOOK))


def test_probabilities_pass_through_the_code_book():
    (span,) = Translation(BOOK).decode([Span(0, 1, "per", 0.25)])
    assert (span.label, span.probability) == ("PER", 0.25)
