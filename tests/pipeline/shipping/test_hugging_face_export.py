"""A model exported for Hugging Face labels as ours does, in a process that has no daguan."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import LSTM
from exported_models import answers_of, lines, require_our_spans

# heads and encoders meet in features (B,T,H) alone, so each is exported with some of the others
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{f"{encoder}-{head}": (encoder, head, {}) for encoder, head in zip(ENCODERS, cycle(HEADS))},
    **{f"modern-{head}": ("modern", head, {}) for head in HEADS},
    "lstm-head": ("modern", f"{LSTM}crf", {}),
    "two-heads": ("modern", f"crf+{LSTM}span", {}),
    "ngrams": ("modern", "crf", {"ngram_buckets": 50}),
    "ngrams-span": ("bert", "biaffine", {"ngram_buckets": 50, "pointer_size": 8}),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the models of all cases answer, ours and exported."""
    return answers_of(CASES, "hf", tmp_path_factory.mktemp("exports"))


@pytest.mark.parametrize("name", CASES)
def test_every_encoder_with_every_head_gives_our_spans(name: str, answers: dict[str, Any]) -> None:
    ours, theirs = answers[name]
    assert any(ours)
    require_our_spans(ours, theirs, lines())
