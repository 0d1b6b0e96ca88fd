"""Prediction in half precision: each batch is cast at once, with the bytes of casting all at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daguan.core.types import Score, Sentence, Span
from daguan.data.batches.windows import Window, stitch
from daguan.data.decoding import decode_lines
from daguan.data.folds import Fold
from daguan.data.marginals import Marginals, to_half_precision
from daguan.data.span_score import span_score
from daguan.families import jobs
from daguan.families.fold import FoldData
from daguan.families.jobs import score_held_out
from daguan.models.settings import ModelSettings
from daguan.training import prediction
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import TrainedTagger, annotate
from tiny_taggers import SCHEME, SIZE, VOCABULARY, tagger

ENGINE = EngineSettings(device="cpu", precision="float32")
RNG = np.random.default_rng(3)
LINES = [  # of one window and of several, among them many of a batch
    Sentence(tuple(map(str, RNG.integers(0, 30, length))), (Span(0, 1, "ab"[length % 2]),))
    for length in [1, 300, 46, 47, *RNG.integers(1, 200, 40).tolist()]
]
LINES_OF_NONE = [replace(line, spans=None) for line in LINES]


@pytest.fixture(scope="module")
def trained() -> TrainedTagger:
    prepare_process(1)
    return TrainedTagger(tagger("crf").eval(), SCHEME, VOCABULARY, ModelSettings(), SIZE.window, 10)


def test_marginals_in_half_precision_are_those_in_single_precision_cast(trained: TrainedTagger, tmp_path: Path) -> None:
    whole, half = trained.marginals(LINES_OF_NONE, ENGINE), trained.marginals(LINES_OF_NONE, ENGINE, np.float16)
    assert {probs.dtype for probs in whole} == {np.dtype(np.float32)}
    assert {probs.dtype for probs in half} == {np.dtype(np.float16)}
    for name, answers in (("whole", whole), ("half", half)):
        Marginals.of(range(len(LINES)), answers).save(tmp_path / name)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "half").read_bytes()


def test_no_line_is_put_together_in_single_precision(trained: TrainedTagger, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then all batches have been answered."""
    seen = set()

    def watched(windows: Sequence[Window], answers: Sequence[NDArray[Any]]) -> NDArray[Any]:
        seen.update((answer if answer.base is None else answer.base).dtype for answer in answers)
        return stitch(windows, answers)

    monkeypatch.setattr(prediction, "stitch", watched)
    trained.marginals(LINES_OF_NONE, ENGINE, np.float16)
    assert seen == {np.dtype(np.float16)}


@pytest.mark.parametrize("chunk", [1, 7, len(LINES), 2_000])
def test_held_out_lines_are_scored_before_the_cast_in_chunks_of_any_size(
    trained: TrainedTagger, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CHUNK_LINES", chunk)
    answers = trained.marginals(LINES_OF_NONE, ENGINE)
    data = FoldData(Fold(0, np.arange(0), np.arange(len(LINES))), [], [], LINES, [], SCHEME)
    half, score = score_held_out(data, iter(answers))
    assert score == span_score(annotate(LINES, decode_lines(answers, SCHEME)), LINES)
    assert [probs.tobytes() for probs in half] == [probs.tobytes() for probs in to_half_precision(answers)]
    assert score_held_out(replace(data, held_out=[]), iter(())) == ([], Score())
