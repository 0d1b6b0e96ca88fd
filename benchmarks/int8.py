"""Compares a trained tagger with matrices in int8 (torch's dynamic quantisation) and in float32: lines a second, F1.

    python -m benchmarks.int8 MODEL CONTEST [--json]

MODEL is the folder of one model (…/fold0/model of a tagger's run), CONTEST a folder with test.txt and test_gold.txt.
One thread, alternating. torch calls its quantisation deprecated; it is only measured here, nothing ships it.
"""

from __future__ import annotations

import sys
import time
import warnings
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmarks.harness import Comparison, Report, alternate, machine, options
from daguan.core.types import Sentence
from daguan.data.decoding import decode_lines
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.span_score import span_score
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import TrainedTagger, annotate

ROUNDS = 5
ENGINE = EngineSettings(device="cpu", precision="float32", threads=1)


def main(words: list[str]) -> None:
    model, contest = map(Path, words[:2])
    asked = options(words[2:], __doc__)
    prepare_process(1)
    plain = TrainedTagger.load(model, ENGINE)
    sides = {"float32": plain, "int8": replace(plain, tagger=quantised(plain.tagger))}
    test, gold = read_unlabelled(contest / "test.txt"), read_labelled(contest / "test_gold.txt")
    report = Report("int8", machine(1))
    rates = alternate(ROUNDS, {name: partial(rate, tagger, test) for name, tagger in sides.items()})
    for name, tagger in sides.items():
        found = span_score(annotate(test, decode_lines(tagger.marginals(test, ENGINE), tagger.scheme)), gold)
        compared = Comparison.of_rates(rates[name], rates["float32"])
        row = {"matrices": name, "span F1": 100 * found.f1, "lines/s": compared.ours, "ratio": compared.ratio}
        report.add(row | {"spread": f"{compared.low:.2f}–{compared.high:.2f}"})
    report.show(asked.json)


def rate(tagger: TrainedTagger, sentences: list[Sentence]) -> float:
    """Lines a second, marginals and decoding."""
    start = time.perf_counter()
    decode_lines(tagger.marginals(sentences, ENGINE), tagger.scheme)
    return len(sentences) / (time.perf_counter() - start)


def quantised(tagger: nn.Module) -> nn.Module:
    """Returns a copy whose linear layers multiply in int8; the n-gram table, the CRF and attention stay float32."""
    copy = deepcopy(tagger)
    for parent in list(copy.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, as_plain(child))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, see above
        made: nn.Module = torch.ao.quantization.quantize_dynamic(copy, {nn.Linear}, dtype=torch.qint8)
    return made


def as_plain(linear: nn.Linear) -> nn.Linear:
    """Returns plain linear layers, because torch's quantisation does not know subclasses."""
    plain = nn.Linear(linear.in_features, linear.out_features, linear.bias is not None)
    plain.load_state_dict(linear.state_dict())
    return plain.eval()


if __name__ == "__main__":
    main(sys.argv[1:])
