"""A model exported for Hugging Face labels as ours does, in a process that has no daguan."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import LSTM
from exported_models import answers_of, lines

LABEL = """
import json
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
from transformers.utils import logging

logging.disable_progress_bar()
given, found = json.loads(sys.argv[1]), {}
for folder in sys.argv[2:]:
    model = AutoModelForTokenClassification.from_pretrained(folder, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    spans = model.spans(**tokenizer(given, is_split_into_words=True, padding=True, return_tensors="pt"))
    label = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")
    texts = [" ".join(line) for line in given]
    found[folder] = {
        "spans": [[(s.start, s.stop, s.label, s.probability) for s in line] for line in spans],
        "groups": [[(e["entity_group"], e["start"], e["end"]) for e in line] for line in label(texts, batch_size=4)],
    }
print(json.dumps(found))
"""
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
    return answers_of(CASES, "hf", LABEL, tmp_path_factory.mktemp("exports"))


@pytest.mark.parametrize("name", CASES)
def test_every_encoder_with_every_head_gives_our_spans(name: str, answers: dict[str, Any]) -> None:
    ours, theirs = answers[name]
    assert any(ours)
    assert [[tuple(span)[:3] for span in line] for line in theirs["spans"]] == [[s[:3] for s in line] for line in ours]
    for line, its in zip(ours, theirs["spans"], strict=True):
        assert [s[3] for s in its] == pytest.approx([s[3] for s in line], abs=2e-3)
    assert [[label for label, _, _ in line] for line in theirs["groups"]] == [[s[2] for s in line] for line in ours]
    ends = [
        [(text[start:stop].count(" ") + 1) for _, start, stop in groups] for text, groups in pairs(theirs["groups"])
    ]
    assert ends == [[stop - start for start, stop, *_ in line] for line in ours]


def pairs(groups: list[Any]) -> list[Any]:
    """The text of each line beside the groups that a pipeline found in it."""
    return [(" ".join(line), found) for line, found in zip(lines(), groups, strict=True)]
