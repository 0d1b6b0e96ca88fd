"""The examples for spaCy and for Hugging Face's pipeline give our spans, in processes without daguan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daguan.pipeline.shipping.export import export
from exported_models import WITHOUT, in_a_clean_process, lines, our_spans, piece_lines, stored, stored_pieces
from served import ROOT

SPACY = f"""
import json
sys.path.insert(0, {str(ROOT / "examples")!r})
import spacy, spacy_component
from spacy.tokens import Doc

def spans(docs):
    return [[(e.start, e.end, e.label_, e._.probability) for e in doc.ents] for doc in docs]

given, folder, stored = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
nlp = spacy.blank("xx")
nlp.add_pipe("daguan", config={{"folder": folder}})
docs = [Doc(nlp.vocab, words=line) for line in given]
found = {{"pipe": spans(nlp.pipe([doc.copy() for doc in docs], batch_size=4))}}
nlp.to_disk(stored)
again = spacy.load(stored)
found["one by one"] = spans([again(doc.copy()) for doc in docs])
spaced = [Doc(nlp.vocab, words=[word for token in line for word in ("\\n", token)]) for line in given]
found["white space"] = spans(nlp.pipe(spaced))
print(json.dumps(found))
"""
PIPELINE = f"""
import json
sys.path.insert(0, {str(ROOT / "examples")!r})
from transformers import pipeline
from transformers.utils import logging
from hf_pipeline import entities

logging.disable_progress_bar()
given, folder = json.loads(sys.argv[1]), sys.argv[2]
label = pipeline("token-classification", model=folder, trust_remote_code=True, aggregation_strategy="simple")
print(json.dumps([entities(label, given, 4), entities(label, given, 1)]))
"""
LINES = {"tokens": lines(), "pieces": piece_lines()}


@pytest.fixture(scope="module", params=LINES)
def kind(request: pytest.FixtureRequest) -> str:
    """What the model reads."""
    return str(request.param)


@pytest.fixture(scope="module")
def model(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return stored(folder, "modern", "crf") if kind == "tokens" else stored_pieces(folder, "bert", "crf", "first")


def places(found: list[Any]) -> list[list[tuple[Any, ...]]]:
    return [[tuple(one[:3]) for one in line] for line in found]


@pytest.mark.parametrize("form", ["onnx", "hf"])
def test_the_component_of_spacy_gives_our_spans(form: str, kind: str, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    export(model, tmp_path / "out", form)
    words = [json.dumps(LINES[kind]), str(tmp_path / "out"), str(tmp_path / "stored")]
    found = in_a_clean_process(SPACY, words, tmp_path, WITHOUT[form])
    ours = our_spans(model, LINES[kind])
    assert places(found["pipe"]) == places(found["one by one"]) == places(ours)
    twice = [[(2 * start + 1, 2 * stop, label) for start, stop, label, _ in line] for line in ours]
    assert places(found["white space"]) == twice
    probabilities = [one[3] for line in found["pipe"] for one in line]
    assert probabilities == pytest.approx([one[3] for line in ours for one in line], abs=2e-3)


def test_the_pipeline_of_hugging_face_takes_lines_of_tokens(kind: str, model: Path, tmp_path: Path) -> None:
    export(model, tmp_path / "out", "hf")
    batched, single = in_a_clean_process(PIPELINE, [json.dumps(LINES[kind]), str(tmp_path / "out")], tmp_path)
    assert places(batched) == places(single) == places(our_spans(model, LINES[kind]))
