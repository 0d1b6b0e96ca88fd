"""Prediction: lines a second of a contest's test file by one tagger, BERT 4x256 and a CRF.

Ours is `python -m daguan predict` after model and file are read. The peers: the token-classification pipeline of
Hugging Face in batches of 32 (no CRF, which favours it; lines are cut at 126 tokens, which favours it too), and one
line after another with pytorch-crf's decoder, as the published code of the team ranked 9th does (on every tenth line).
Weights are random: they do not matter for speed; the pipeline's all say "outside", so that it has no entities to
assemble. The peers run in two shells (see `harness.shells`), and the faster one counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial

import numpy as np
import torch

from benchmarks import data, ours
from benchmarks.data import WINDOW, Text
from benchmarks.harness import Aim, Comparison, Report, alternate, best, machine, options, our_environment, shells
from benchmarks.sides import Side
from daguan.data.vocabulary import CLS, SEP
from daguan.families.family import Model
from daguan.pipeline.work.predict import predict
from daguan.training.devices import find_device, prepare_process

THREADS = 2
SAMPLE = 10  # one line in this many is labelled line by line
AIMS = {"Pipeline": 3.0, "LineByLine": 10.0}


class Ours:
    """daguan's predict, from sentences to labelled lines."""

    def __init__(self, text: Mapping[str, str], layers: int, hidden: int) -> None:
        prepare_process(THREADS)
        self.text = Text(**text)
        engine = ours.engine_settings(THREADS)
        trained = ours.new_tagger(self.text, layers, hidden, "crf", self.text.scheme)
        trained.tagger.to_device(find_device(engine)).eval()
        self.model = Model(self.text.scheme.labels, lambda lines: trained.marginals(lines, engine, np.float16))

    def rate(self) -> float:
        """Lines a second over the whole file."""
        start = time.perf_counter()
        lines = sum(1 for _ in predict([[self.model]], None, self.text.test))
        return lines / (time.perf_counter() - start)


class Pipeline:
    """Hugging Face's pipeline, batched, aggregation "simple"."""

    def __init__(self, text: Mapping[str, str], layers: int, hidden: int, precision: str) -> None:
        from transformers import BertForTokenClassification, pipeline

        from benchmarks import hugging_face

        torch.set_num_threads(THREADS)
        whole = Text(**text)
        names = dict(enumerate(whole.scheme.tags))
        config = hugging_face.config(layers, hidden, len(whole.vocabulary), id2label=names, num_labels=len(names))
        model = BertForTokenClassification(config).to(torch.bfloat16 if precision == "bf16" else torch.float32).eval()
        torch.nn.init.constant_(model.classifier.bias[:1], 100.0)  # outside
        tokenizer = hugging_face.tokenizer(whole.vocabulary)
        self.label = pipeline(
            "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", batch_size=32
        )
        self.lines = [" ".join(sentence.tokens) for sentence in whole.test]

    def rate(self) -> float:
        """Lines a second over the whole file."""
        start = time.perf_counter()
        return len(self.label(self.lines)) / (time.perf_counter() - start)


class LineByLine:
    """BERT, a linear layer and pytorch-crf, a line a time."""

    def __init__(self, text: Mapping[str, str], layers: int, hidden: int, precision: str) -> None:
        from torchcrf import CRF
        from transformers import BertModel

        from benchmarks import hugging_face

        torch.set_num_threads(THREADS)
        whole = Text(**text)
        self.precision = precision
        self.bert = BertModel(
            hugging_face.config(layers, hidden, len(whole.vocabulary)), add_pooling_layer=False
        ).eval()
        self.emit = torch.nn.Linear(hidden, len(whole.scheme))
        self.crf = CRF(len(whole.scheme), batch_first=True)
        self.lines = [whole.vocabulary.encode(sentence.tokens[:WINDOW]) for sentence in whole.test[::SAMPLE]]

    @torch.no_grad()
    def rate(self) -> float:
        """Lines a second over the sample."""
        start = time.perf_counter()
        for line in self.lines:
            ids = torch.tensor([[CLS, *line, SEP]])
            with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
                emissions = self.emit(self.bert(ids).last_hidden_state[:, 1:-1])
            self.crf.decode(emissions.float())
        return len(self.lines) / (time.perf_counter() - start)


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    text = data.prepared(asked.quick)
    layers, hidden = ours.QUICK_SIZE if asked.quick else ours.SIZES["4x256"]
    size = {"text": asdict(text), "layers": layers, "hidden": hidden}
    report = Report("prediction", machine(THREADS, ours.precision()))
    with ExitStack() as stack:
        start = stack.enter_context
        sides = {"ours": start(Side("benchmarks.prediction:Ours", our_environment(THREADS), **size))}
        for peer in AIMS:
            for shell, environment in shells(THREADS).items():
                target = f"benchmarks.prediction:{peer}"
                sides[f"{peer}, {shell}"] = start(Side(target, environment, precision=ours.precision(), **size))
        calls = {name: partial(side.call, "rate") for name, side in sides.items()}
        alternate(1, calls)  # warm
        given = alternate(2 if asked.quick else 5, calls)
    for peer, aim in AIMS.items():
        name = best(given, [f"{peer}, {shell}" for shell in shells(THREADS)])
        found = Comparison.of_rates(given["ours"], given[name])
        report.add({"peer": name, **found.row("lines/s")}, Aim.at_least(f"against {peer}", aim, found.ratio, " x"))
    report.show(asked.json)


if __name__ == "__main__":
    main(sys.argv[1:])
