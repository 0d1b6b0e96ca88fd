"""Tiny taggers with random weights, stored as `fit` stores them, and a process without daguan that loads exports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from daguan.core.seeds import stream
from daguan.core.settings import build
from daguan.core.types import Sentence
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.ensemble.labelling import load_members
from daguan.models.encoders.loading import Encoder, load_encoder, new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import AUTO
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.pipeline.shipping.export import CPU, export
from daguan.pipeline.work.predict import predict
from daguan.training.prediction import TrainedTagger, default_overlap

LABELS = ("a", "b", "c2")
TOKENS = tuple(f"w{number}" for number in range(40))
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


def lines() -> list[list[str]]:
    """Returns lines of 1 to 100 tokens, with unknown ones and ones that are spelt like special tokens."""
    rng = stream(1, "exported")
    found = [[TOKENS[i] for i in rng.integers(0, len(TOKENS), length)] for length in (1, 2, 9, 30, 31, 32, 75, 100)]
    return [*found, ["new", "[PAD]", "w1", "[UNK]", "[MASK]"]]


def stored(folder: Path, encoder: str, head: str, width: int = 16, **settings: Any) -> Path:
    """Store a tagger of random weights."""
    size = build(EncoderSettings, SIZES | {"hidden": width, "feed_forward": 2 * width}, place="test")
    model = build(ModelSettings, {"encoder": encoder, "head": head, "lstm_hidden": 8, **settings}, place="test")
    vocabulary, scheme = Vocabulary((*SPECIALS, *TOKENS)), TagScheme(LABELS)
    torch.manual_seed(0)
    made = checkpoint(folder / "from") if encoder == AUTO else new_encoder(encoder, size, len(vocabulary), 0.0)
    tagger = Tagger(made, scheme, model)
    with torch.no_grad():
        for parameter in tagger.parameters():
            parameter += NOISE * torch.randn_like(parameter)
    TrainedTagger(tagger, scheme, vocabulary, model, size.window, default_overlap(size)).save(folder)
    return folder


def our_spans(model: Path) -> list[list[tuple[int, int, str, float]]]:
    """Returns what daguan answers for the lines, in float32."""
    members = load_members([[model]], CPU)
    found = predict(members, None, [Sentence(tuple(line)) for line in lines()])
    return [[(s.start, s.stop, s.label, s.probability) for s in sentence.gold] for sentence in found]


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
    return json.loads(done.stdout.splitlines()[-1])


def answers_of(
    cases: Mapping[str, tuple[str, str, dict[str, Any]]],
    form: str,
    label: str,
    root: Path,
    without: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns by case what its model answers, ours and exported. `label` is the code of the process without daguan."""
    ours, folders = {}, {}
    for name, (encoder, head, settings) in cases.items():
        model = stored(root / "ours" / name, encoder, head, **settings)
        export(model, root / name, form)
        ours[name], folders[name] = our_spans(model), str(root / name)
    found = in_a_clean_process(label, [json.dumps(lines()), *folders.values()], root, without=without)
    return {name: (ours[name], found[folder]) for name, folder in folders.items()}
