"""Tiny taggers with random weights, stored as `fit` stores them, and a process without daguan that loads exports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daguan.core.files import write_json
from daguan.core.seeds import stream
from daguan.core.settings import build
from daguan.core.types import Sentence, Span
from daguan.data.tags import TagScheme
from daguan.data.text_features import TextFeatures
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.ensemble.blending import save_blend
from daguan.ensemble.combination import OutOfFoldData
from daguan.ensemble.distillation import OTHER_TOKENS
from daguan.ensemble.labelling import load_members, marginals_of
from daguan.ensemble.stacking import StackLearner
from daguan.families.ngram_crf import train
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.models.encoders.loading import Encoder, load_encoder, new_encoder
from daguan.models.encoders.pieces import Pieces
from daguan.models.encoders.public_checkpoint import load_public_checkpoint
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import AUTO
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.pipeline.shipping.export import CPU, export
from daguan.pipeline.work.predict import find_models, predict
from daguan.training.prediction import TrainedTagger, default_overlap
from public_encoders import LONG
from public_encoders import checkpoint as public_checkpoint

Lines = Sequence[Sequence[str]]
Texts = Mapping[str, str]
NONE: Texts = {}

LABELS = ("a", "b", "c2")
TOKENS = tuple(f"w{number}" for number in range(40))
OTHERS = ("x1", "x2")  # that only a judge knows
SIZES = {"layers": 1, "heads": 2, "max_length": 32}
NOISE = 0.3  # the standard deviation of random weights: layers that start at zero must matter
FORBID = """
import sys

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Forbid())
"""
LABEL = {
    "hf": """
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
""",
    "onnx": """
import json, sys
given, found = json.loads(sys.argv[1]), {}
for folder in sys.argv[2:]:
    sys.path.insert(0, folder)
    from decode import Labeller
    *spans, none = Labeller(folder).spans([*given, []])
    found[folder] = {"spans": spans}
    assert none == []
    del sys.modules["decode"], sys.path[0]
print(json.dumps(found))
""",
}  # the code of a process without daguan that labels lines by models of a form
WITHOUT = {"hf": [], "onnx": ["torch", "transformers"]}  # what such a process does without beside daguan


def lines() -> list[list[str]]:
    """Returns lines of 1 to 100 tokens, with unknown ones and ones that are spelt like special tokens."""
    rng = stream(1, "exported")
    found = [[TOKENS[i] for i in rng.integers(0, len(TOKENS), length)] for length in (1, 2, 9, 30, 31, 32, 75, 100)]
    return [*found, ["new", "[PAD]", "w1", "[UNK]", "[MASK]"]]


def stored(folder: Path, encoder: str, head: str, width: int = 16, **settings: Any) -> Path:
    """Store a tagger of random weights."""
    size = build(EncoderSettings, SIZES | {"hidden": width, "feed_forward": 2 * width}, place="test")
    model = build(ModelSettings, {"encoder": encoder, "head": head, "lstm_hidden": 8, **settings}, place="test")
    vocabulary = Vocabulary((*SPECIALS, *TOKENS))
    torch.manual_seed(0)
    made = checkpoint(folder / "from") if encoder == AUTO else new_encoder(encoder, size, len(vocabulary), 0.0)
    return _stored(folder, made, size, model, vocabulary)


def _stored(
    folder: Path,
    encoder: Encoder,
    size: EncoderSettings,
    model: ModelSettings,
    vocabulary: Vocabulary,
    pieces: Pieces | None = None,
) -> Path:
    tagger, scheme = Tagger(encoder, TagScheme(LABELS), model), TagScheme(LABELS)
    with torch.no_grad():
        for parameter in tagger.parameters():
            parameter += NOISE * torch.randn_like(parameter)
    TrainedTagger(tagger, scheme, vocabulary, model, size.window, default_overlap(size), pieces).save(folder)
    return folder


def judged_lines() -> list[list[str]]:
    """Returns lines with tokens that a judge knows and its model does not."""
    return [*lines(), [OTHERS[0], "w1", OTHERS[1], "w30", OTHERS[0]], ["w2", OTHERS[1]]]


def judged(
    folder: Path, encoder: str, head: str, crf: bool = True, text: TextFeatures | None = None, **settings: Any
) -> Path:
    """Store a student: a tagger of random weights with a judge, and an n-gram CRF unless there is to be none."""
    model = stored(folder / "model", encoder, head, **settings)
    rng, scheme, kinds = stream(1, "judged"), TagScheme(LABELS), dict(zip("wx", LABELS, strict=False))
    known = [*TOKENS, *OTHERS]
    texts = [tuple(known[i] for i in rng.integers(0, len(known), length)) for length in rng.integers(1, 20, 60)]
    entities = {known[i]: kinds[known[i][0]] for i in (*rng.integers(0, len(TOKENS), 12), -1, -2)}
    gold = [
        Sentence(line, tuple(Span(i, i + 1, entities[word]) for i, word in enumerate(line) if word in entities))
        for line in texts
    ]
    members = [[model]]
    if crf:
        train(gold[:40], scheme, NgramCrfSettings(iterations=20), folder / "ngram_crf", text=text)
        members.append([folder / "ngram_crf"])
    answers = marginals_of(load_members(members, CPU), gold)
    data = OutOfFoldData(gold, np.arange(len(gold)) % 3, answers, scheme, 1)
    save_blend(folder, "stack", StackLearner(data).fit(np.ones(len(gold), bool)), members, None)
    write_json(folder / OTHER_TOKENS, OTHERS)
    return folder


def our_spans(model: Path, given: Lines | None = None) -> list[list[tuple[int, int, str, float]]]:
    """Returns what daguan answers for lines, by default those of `lines`, in float32."""
    paths, combination = find_models(model)
    found = predict(load_members(paths, CPU), combination, [Sentence(tuple(line)) for line in given or lines()])
    return [[(s.start, s.stop, s.label, s.probability) for s in sentence.gold] for sentence in found]


def piece_lines() -> list[list[str]]:
    """Returns lines of words for the tokenizers of public_encoders.py: with unknown words, ones that are spelt like
    special tokens, one of which nothing is left, and some with more pieces than the window."""
    words = [
        "Heart",
        "failure",
        "of",
        "mice",
        "heartmice",
        "Aorta",
        "a-b",
        "é",
        "\u200b",
        "?!",
        "[MASK]",
        "<mask>",
        "b",
    ]
    rng = stream(1, "piece lines")
    found = [[words[i] for i in rng.integers(0, len(words), length)] for length in (1, 2, 9, 14, 15, 30, 75, 100)]
    return [*found, ["\u200b"], ["of", 40 * "mice", "Aorta", *("a-b-a-b" for _ in range(20)), LONG, "b"]]


def stored_pieces(folder: Path, name: str, head: str, pieces: str, texts: Texts = NONE, **settings: Any) -> Path:
    """Store a tagger of random weights over a public encoder of a type, with its own tokenizer."""
    public_checkpoint(folder / "from", name)
    size = build(EncoderSettings, SIZES | {"checkpoint": str(folder / "from")}, place="test")
    asked = {"encoder": AUTO, "head": head, "pieces": pieces, "lstm_hidden": 8, **settings}
    cut = Pieces.of_checkpoint(folder / "from", texts)
    torch.manual_seed(0)
    encoder = Encoder(load_public_checkpoint(AUTO, size, cut.vocabulary).base_model, 0.0)
    return _stored(folder, encoder, size, build(ModelSettings, asked, place="test"), Vocabulary(SPECIALS), cut)


def checkpoint(folder: Path) -> Encoder:
    """Returns the encoder of a checkpoint of a type that has no file of its own, with positions from a padding token's
    id that its code assumes."""
    from transformers import MPNetConfig, MPNetForMaskedLM

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = MPNetConfig(vocab_size=len(SPECIALS) + len(TOKENS), max_position_embeddings=40, pad_token_id=0, **size)
    MPNetForMaskedLM(config).save_pretrained(folder)
    return load_encoder(folder, 0.0)


def in_a_clean_process(script: str, words: Sequence[str], scratch: Path, without: Sequence[str] = ()) -> Any:
    """Returns what a script prints as JSON, run without daguan, and without the packages named, in another process."""
    code = FORBID.replace("FORBIDDEN", repr(["daguan", "torchcrf", *without])) + script
    places = {"HF_MODULES_CACHE": str(scratch / "modules"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | places
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words],
        cwd=scratch, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "[W:onnxruntime" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def answers_of(
    cases: Mapping[str, tuple[str, str, dict[str, Any]]],
    form: str,
    root: Path,
    store: Callable[..., Path] = stored,
    given: Lines | None = None,
) -> dict[str, Any]:
    """Returns by case what its model answers, ours and exported, of the given lines. `store` makes the model."""
    given, ours, folders = given or lines(), {}, {}
    for name, (encoder, head, settings) in cases.items():
        model = store(root / "ours" / name, encoder, head, **settings)
        export(model, root / name, form)
        ours[name], folders[name] = our_spans(model, given), str(root / name)
    found = in_a_clean_process(LABEL[form], [json.dumps(given), *folders.values()], root, without=WITHOUT[form])
    return {name: (ours[name], found[folder]) for name, folder in folders.items()}


def require_our_spans(ours: list[Any], theirs: dict[str, Any], given: Lines) -> None:
    """Require of an exported model our spans and their probabilities, and of its pipeline our spans in the text."""
    assert [[tuple(span[:3]) for span in line] for line in theirs["spans"]] == [[s[:3] for s in line] for line in ours]
    for line, its in zip(ours, theirs["spans"], strict=True):
        assert [span[3] for span in its] == pytest.approx([span[3] for span in line], abs=2e-3)
    if "groups" in theirs:
        for line, its, words in zip(ours, theirs["groups"], given, strict=True):
            starts = [sum(len(word) + 1 for word in words[:place]) for place in range(len(words) + 1)]
            assert its == [[label, starts[start], starts[stop] - 1] for start, stop, label, _ in line]
