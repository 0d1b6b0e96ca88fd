"""A small model that is kept in the repository: each version of its format loads it and answers as it did."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import pytest

import daguan
from daguan.cli.app import main
from daguan.core.runs import FORMAT
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.table import format_of
from stored_model import STORED, lines

ROUNDING = 0.1  # another processor may multiply in another precision


def test_the_stored_model_answers_as_it_did() -> None:
    (blend,) = STORED.glob("blend-*")
    answers = json.loads((STORED / "answers.json").read_text("utf-8"))
    assert any(p > 0.5 + ROUNDING for *_, p in chain(*answers))
    for expected, found in zip(answers, daguan.load(blend).predict(lines()), strict=True):
        here = {(span.start, span.stop, span.label): span.probability for span in found}
        for start, stop, label, probability in expected:
            if probability > 0.5 + ROUNDING:
                assert here[start, stop, label] == pytest.approx(probability, abs=ROUNDING)


def test_it_is_of_this_format_and_its_parts_are_loaded_too() -> None:
    (blend,) = STORED.glob("blend-*")
    for path in (blend / "combination.json", *STORED.glob("*/manifest.json"), *STORED.glob("*/fold0/model/*r*.json")):
        assert json.loads(path.read_text("utf-8"))["format"] == FORMAT, path
    for member in (*STORED.glob("tagger-*"), *STORED.glob("ngram_crf-*")):
        assert len(daguan.load(member).predict(lines())) == len(lines())
    assert len(daguan.load(blend).leaderboard()) == 4


def test_a_contest_of_plain_tokens_and_labels_needs_no_code_book_to_label_data_in_a_format(tmp_path: Path) -> None:
    """Their tokens and labels are those of the contest."""
    (blend,) = STORED.glob("blend-*")
    assert not [*STORED.rglob("code_book.json")]
    documents = [Document(line, ()) for line in lines()]
    for format, name in (("conll", "a.conll"), ("jsonl", "a.jsonl")):
        format_of(format).write(tmp_path / name, documents, Options())
        assert main(["predict", str(blend), str(tmp_path / name), str(tmp_path / f"out-{name}")]) == 0
        found = format_of(format).read(tmp_path / f"out-{name}", Options())
        assert [one.tokens for one in found] == lines()
        assert [list(one.spans or ()) for one in found] == daguan.load(blend).predict(lines())
