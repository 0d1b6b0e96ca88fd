"""Transformer-XL (Dai et al. 2019, arXiv 1901.02860): the value of memory, and the speed of evaluation with it.

    python -m benchmarks.transformer_xl [--json] [--quick] [memory | speed]

`memory` measures perplexity on held-out text by the length of the memory (their relative effective context): it
pretrains the preset for CPU minutes on the text without a stretch of it, and reads the stretch in segments of 16.
`speed` measures how much faster evaluation with memory is than reading every context again (their table 9): it takes
the preset with random weights; with memory, segments of 128 after the remembered tokens; without, one window of that
length for each token. Both use the forward direction alone, on one thread, in float32; seconds are CPU time.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks import data
from benchmarks.harness import ROOT, Aim, Comparison, Report, alternate, machine, options, our_environment
from benchmarks.learning import OURS, Learning
from benchmarks.sides import Side
from daguan.data.batches.packing import TokenLines, token_file, write_token_file
from daguan.data.vocabulary import CLS, SEP
from daguan.models.encoders.loading import read_masked_lm
from daguan.models.encoders.table import ENCODERS
from daguan.nn.transformer_xl import Memory
from daguan.pipeline.settings import load
from daguan.training.devices import prepare_process

PARTS = ("memory", "speed")
PRESET = str(ROOT / "configs" / "transformer_xl.yaml")
NAME = "transformer_xl"
WORDS = ("model.encoder=transformer_xl", "pretrain.objective=causal", "encoder.memory=64")
MINUTES, MINUTES_QUICK = 5.0, 0.05
LENGTHS, LENGTHS_QUICK = (0, 16, 32, 64, 128, 256, 512), (0, 16)
STREAMS, STRETCH, STRETCH_QUICK = 8, 40_000, 2_000  # held-out ids, read as this many streams side by side
SEGMENT = 16
WORTH = 0.01  # the share of the perplexity that a longer memory must remove to be effective
LONGEST = 3_800
CONTEXTS, CONTEXTS_QUICK = (128, 800, 1_800, LONGEST), (128,)
SEGMENT_OF_SPEED, SEGMENTS = 128, 8
ROUNDS = 3
PAPER = 1_874  # times, at LONGEST


def main(words: list[str]) -> None:
    parts = [word for word in words if word in PARTS] or list(PARTS)
    asked = options([word for word in words if word not in PARTS], __doc__)
    prepare_process(1)
    report = Report(NAME, machine(1))
    for part in parts:
        {"memory": measure_memory, "speed": measure_speed}[part](report, asked.quick)
    report.show(asked.json)


def measure_memory(report: Report, quick: bool) -> None:
    """Add a row for each length of memory; longer distances than in pretraining are read as its longest."""
    text, held_out = text_without_a_stretch(data.prepared(quick), STRETCH_QUICK if quick else STRETCH)
    run = Learning(OURS, asdict(text), MINUTES_QUICK if quick else MINUTES, 1, WORDS)
    end = run.run()["curve"][-1]
    note = "{minutes} CPU minutes of pretraining, {tokens:,} tokens, held-out loss {loss} nats without memory"
    report.note(note.format(**end))
    lengths = LENGTHS_QUICK if quick else LENGTHS
    found = [perplexity(run.folder, held_out, length, lengths[-1]) for length in lengths]
    effective = 0
    for number, (length, value) in enumerate(zip(lengths, found, strict=True)):
        gain = 1 - value / found[number - 1] if number else 0.0
        effective = length if gain >= WORTH else effective
        report.add({"memory, tokens": length, "perplexity": round(value, 2), "less than the row before": f"{gain:.1%}"})
    report.note(f"effective context: {effective} tokens, the longest memory worth {WORTH:.0%} over the next shorter")


def text_without_a_stretch(text: data.Text, length: int) -> tuple[data.Text, Tensor]:
    """Returns the text except for `length` ids from a quarter of it on, and those ids."""
    folder = data.WORK / NAME / f"{Path(text.run).name}-{length}"
    ids = TokenLines(text.tokens, text.vocabulary).ids.astype(np.uint32)
    low = len(ids) // 4
    text.vocabulary.save(folder)
    write_token_file(token_file(folder, len(text.vocabulary)), [ids[:low], ids[low + length :]])
    return data.Text(text.contest, str(folder)), torch.from_numpy(ids[low : low + length].astype(np.int64))


@torch.no_grad()
def perplexity(folder: Path, ids: Tensor, length: int, longest: int) -> float:
    """Returns the perplexity of the next tokens, forwards, with a memory of that length.

    Tokens at which a memory of the longest length is not full yet are read and not counted.
    """
    lm = read_masked_lm(folder, NAME).eval()
    config, base = lm.config, lm.base_model
    config.clamp = load([PRESET]).encoder.max_length + config.memory  # about the longest distance it has seen
    streams = ids[: len(ids) // STREAMS * STREAMS].view(STREAMS, -1)
    memory = Memory.empty(config.num_hidden_layers, STREAMS, length, config.width, streams.device)
    read = streams.masked_fill(streams == SEP, CLS)  # as in pretraining
    loss, count = 0.0, 0
    for low in range(0, streams.shape[1] - SEGMENT, SEGMENT):
        hidden, memory = base.onward.follow(base.embed(read[:, low : low + SEGMENT]), memory)
        if low >= longest:
            wanted = streams[:, low + 1 : low + SEGMENT + 1].flatten()
            loss += cross_entropy(lm.predict(hidden).flatten(0, 1), wanted, reduction="sum").item()
            count += len(wanted)
    return math.exp(loss / count)


def measure_speed(report: Report, quick: bool) -> None:
    """Add a row for each context length; ours is evaluation with memory."""
    with Side("benchmarks.transformer_xl:Sides", our_environment(1), text=asdict(data.prepared(quick))) as side:
        for length in CONTEXTS_QUICK if quick else CONTEXTS:
            ways = {way: partial(side.call, way, length=length) for way in ("with_memory", "without_memory")}
            rates = alternate(ROUNDS, ways)
            found = Comparison.of_rates(rates["with_memory"], rates["without_memory"])
            aims = [Aim.at_least(f"at {length:,}, as in the paper", PAPER, found.ratio, " x")]
            report.add({"context, tokens": length} | found.row("tokens/CPU s"), *(aims if length == LONGEST else ()))
    report.note("peer: the same model over a window as long as the context for each token")


class Sides:
    """An untrained model of the preset's size, and some real text."""

    def __init__(self, text: Mapping[str, str]) -> None:
        prepare_process(1)
        of_text = data.Text(**text)
        self.lm = ENCODERS[NAME].load().new(load([PRESET]).encoder, len(of_text.vocabulary)).eval()
        ids = TokenLines(of_text.tokens, of_text.vocabulary).ids[: 2 * LONGEST]
        self.ids = torch.from_numpy(ids.astype(np.int64)).unsqueeze(0)

    @torch.no_grad()
    def with_memory(self, length: int) -> float:
        """Returns the tokens predicted a CPU second, by segments whose memory is full."""
        base, size = self.lm.base_model, SEGMENT_OF_SPEED
        memory = Memory.empty(len(base.onward.layers), 1, length, self.lm.config.width, self.ids.device)
        memory = replace(memory, kept=memory.kept + length)
        start = time.process_time()
        for low in range(0, SEGMENTS * size, size):
            hidden, memory = base.onward.follow(base.embed(self.ids[:, low : low + size]), memory)
            self.lm.predict(hidden)
        return SEGMENTS * size / (time.process_time() - start)

    @torch.no_grad()
    def without_memory(self, length: int) -> float:
        """Returns the tokens predicted a CPU second, each from a window of its own of that length."""
        base, count = self.lm.base_model, max(1, 1_000 // length)
        start = time.process_time()
        for low in range(count):
            hidden = base.onward(base.embed(self.ids[:, low : low + length]))
            self.lm.predict(hidden[:, -1])
        return count / (time.process_time() - start)


if __name__ == "__main__":
    main(sys.argv[1:])
