"""A small model that is kept in the repository: each version of its format loads it and answers as it did."""

from __future__ import annotations

import json
from itertools import chain

import pytest

import daguan
from daguan.core.runs import FORMAT
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
