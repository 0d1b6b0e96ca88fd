"""A student with its judge, exported, labels as ours does, in a process that has no daguan."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daguan.cli.app import main
from daguan.core.seeds import stream
from daguan.data.feature_hashes import hashes
from daguan.data.tags import TagScheme
from daguan.data.text_features import TextFeatures, string_hashes
from daguan.data.vocabulary import Vocabulary
from daguan.pipeline.shipping.export import shippable
from daguan.pipeline.shipping.judging import Judge
from exported_models import (
    LABELS,
    OTHERS,
    TOKENS,
    answers_of,
    judged,
    judged_lines,
    our_spans,
    require_our_spans,
    stored_pieces,
)


def text_features() -> TextFeatures:
    """What a text says: two clusterings of the tokens, and some strings of two."""
    tokens = hashes(TOKENS)
    strings = string_hashes([tokens[:-1], tokens[1:]])
    clusters = np.stack([1 + tokens % 5, 1 + tokens % 3], 1)
    return TextFeatures(np.sort(tokens), clusters[np.argsort(tokens)], np.sort(strings), 1 + np.sort(strings) % 4)


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "crf": ("modern", "crf", {}),
    "text": ("lstm", "biaffine", {"text": text_features(), "pointer_size": 8}),
    "alone": ("bert", "softmax", {"crf": False}),
}


@pytest.fixture(scope="module", params=["hf", "onnx"])
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the students of all cases answer, ours and exported."""
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
    return answers_of(CASES, request.param, tmp_path_factory.mktemp("judged"), judged, judged_lines())


@pytest.mark.parametrize("name", CASES)
def test_the_judge_chooses_our_spans(name: str, answers: dict[str, Any]) -> None:
    ours, theirs = answers[name]
    assert any(ours)
    require_our_spans(ours, theirs, judged_lines())


def test_the_judge_decides_and_knows_tokens_that_its_model_does_not(tmp_path: Path) -> None:
    student = judged(tmp_path / "student", "modern", "crf")
    assert our_spans(student, judged_lines()) != our_spans(student / "model", judged_lines())
    known, unknown = ([[one, word, other] for one, other in pairwise(TOKENS)] for word in (OTHERS[0], "new"))
    assert our_spans(student / "model", known) == our_spans(student / "model", unknown)
    assert our_spans(student, known) != our_spans(student, unknown)


def test_the_model_alone_is_exported_without_a_judge(tmp_path: Path) -> None:
    student = judged(tmp_path / "student", "modern", "crf")
    for model, has in ((student, True), (student / "model", False)):
        assert main(["export", str(model), str(tmp_path / f"out-{has}"), "--to", "hf"]) == 0
        assert (tmp_path / f"out-{has}" / "judging.py").is_file() == has
        card = (tmp_path / f"out-{has}" / "README.md").read_text("utf-8")
        assert ("chooses among the spans that it or an n-gram CRF proposes." in card) == has
        assert ("strings of tokens that are entities there" in card) == has
        assert ("judge" in json.loads((tmp_path / f"out-{has}" / "config.json").read_text("utf-8"))) == has


@pytest.mark.parametrize("kind", ["crf", "alone"])
def test_lines_without_tokens_have_no_entities(kind: str, tmp_path: Path) -> None:
    student = judged(tmp_path / "student", "modern", "crf", crf=kind == "crf")
    stored, vocabulary = shippable(student)[1], Vocabulary.load(student / "model")
    assert stored
    judge = Judge(stored.about(vocabulary, LABELS), stored.arrays)
    line, width = [*range(5, 40)], len(TagScheme(LABELS))
    probs = np.full((len(line), width), 1 / width, np.float16)
    none = np.zeros((0, width), np.float16)
    assert judge.spans([], []) == []
    assert judge.spans([[]], [none]) == [()]
    (alone,) = judge.spans([line], [probs])
    assert judge.spans([[], line, []], [none, probs, none]) == [(), alone, ()]


def test_the_users_labels_change_no_choice(tmp_path: Path) -> None:
    """Also where they sort otherwise than the contest's."""
    student = judged(tmp_path / "student", "modern", "crf")
    stored, vocabulary = shippable(student)[1], Vocabulary.load(student / "model")
    assert stored
    rng, width = stream(2, "labels"), len(TagScheme(LABELS))
    lines = [rng.integers(5, 40, 9).tolist() for _ in range(20)]
    probs = [rng.dirichlet(np.ones(width), 9).astype(np.float16) for _ in lines]
    plain = Judge(stored.about(vocabulary, LABELS), stored.arrays).spans(lines, probs)
    other = dict(zip(LABELS, ("z", "y", "x"), strict=True))
    renamed = Judge(stored.about(vocabulary, [*other.values()]), stored.arrays).spans(lines, probs)
    assert any(plain)
    assert renamed == [tuple(replace(span, label=other[span.label]) for span in of_line) for of_line in plain]


def test_a_judge_of_words_is_left_out_where_the_model_reads_pieces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    student = judged(tmp_path / "student", "modern", "crf")
    stored_pieces(tmp_path / "pieces", "bert", "crf", "first").rename(tmp_path / "old")
    (student / "model").rename(tmp_path / "tokens")
    (tmp_path / "old").rename(student / "model")
    assert main(["export", str(student), str(tmp_path / "out"), "--to", "hf"]) == 0
    assert f"{student}: exported without its judge, which reads tokens" in capsys.readouterr().err
    assert not (tmp_path / "out" / "judging.py").exists()
