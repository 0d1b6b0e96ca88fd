"""A model exported for ONNX Runtime labels as ours does, in a process that has neither daguan nor torch."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from daguan.cli.app import main
from daguan.models.encoders.table import ENCODERS
from daguan.models.settings import FIRST, LSTM
from daguan.pipeline.shipping.export import export
from exported_models import (
    LABEL,
    WITHOUT,
    answers_of,
    in_a_clean_process,
    lines,
    piece_lines,
    require_our_spans,
    stored,
    stored_pieces,
)

pytest.importorskip("onnxruntime")
HEADS = ("softmax", "crf", "pytorch_crf", "span", "biaffine", "global_pointer")
# heads and encoders meet in features (B,T,H) alone, so each is exported with some of the others
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{f"{encoder}-{head}": (encoder, head, {}) for encoder, head in zip(ENCODERS, cycle(HEADS), strict=False)},
    "lstm-head": ("modern", f"{LSTM}crf", {}),
    "two-heads": ("modern", f"softmax+{LSTM}global_pointer", {}),
    "ngrams": ("modern", "crf", {"ngram_buckets": 50}),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the models of all cases answer, ours and exported."""
    return answers_of(CASES, "onnx", tmp_path_factory.mktemp("graphs"))


@pytest.mark.parametrize("name", CASES)
def test_every_encoder_and_every_head_gives_our_spans(name: str, answers: dict[str, Any]) -> None:
    ours, theirs = answers[name]
    assert any(ours)
    require_our_spans(ours, theirs, lines())


@pytest.mark.parametrize("head", ["pointer", "seq2seq"])
def test_a_head_that_searches_is_refused(head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = stored(tmp_path / "model", "modern", head)
    capsys.readouterr()
    assert main(["export", str(model), str(tmp_path / "out"), "--to", "onnx"]) == 2
    error = capsys.readouterr().err
    assert f"head {head}: expected one that scores a text at once" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_matrices_of_8_bits_take_less_space(tmp_path: Path) -> None:
    model = stored(tmp_path / "model", "modern", "crf", width=128)
    export(model, tmp_path / "plain", "onnx")
    export(model, tmp_path / "small", "onnx-int8")
    sizes = [(tmp_path / name / "model.onnx").stat().st_size for name in ("plain", "small")]
    assert sizes[1] < 0.5 * sizes[0]


@pytest.mark.parametrize("reads", ["tokens", "pieces"])
def test_a_graph_of_8_bits_labels_and_nothing_is_said_of_it(
    reads: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if reads == "tokens":
        model, given = stored(tmp_path / "model", "lstm", "biaffine"), lines()
    else:
        model, given = stored_pieces(tmp_path / "model", "deberta-v2", "biaffine", FIRST), piece_lines()
    export(model, tmp_path / "small", "onnx-int8")
    assert not caplog.records
    words = [json.dumps(given), str(tmp_path / "small")]
    (found,) = in_a_clean_process(LABEL["onnx"], words, tmp_path, WITHOUT["onnx"]).values()
    assert len(found["spans"]) == len(given)
