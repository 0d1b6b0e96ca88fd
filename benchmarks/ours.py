"""daguan as a side of a comparison: its tagger in training and at work, built as a fold's job builds it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch

from benchmarks import flops
from benchmarks.data import LENGTH, Text
from daguan.core.types import Sentence, Span
from daguan.data.tags import TagScheme
from daguan.models.encoders.loading import new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.training.devices import matrix_dtype, prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.prediction import TrainedTagger, default_overlap

SIZES = {"4x256": (4, 256), "8x512": (8, 512)}
QUICK_SIZE = (2, 64)


def encoder_settings(layers: int, hidden: int) -> EncoderSettings:
    """Returns the settings of an encoder with heads of 64 and a feed-forward layer of four widths, initialised as BERT
    is."""
    return EncoderSettings(
        layers=layers,
        hidden=hidden,
        heads=max(1, hidden // 64),
        feed_forward=4 * hidden,
        max_length=LENGTH,
        initialisation="normal",
    )


def engine_settings(threads: int) -> EngineSettings:
    """Returns engine settings with daguan's own choice of precision for the machine."""
    return EngineSettings(threads=threads)


def precision() -> str:
    """Returns the precision in which daguan multiplies matrices on this machine; its peers get the same."""
    return "bf16" if matrix_dtype(EngineSettings()) == torch.bfloat16 else "float32"


def new_tagger(text: Text, layers: int, hidden: int, head: str, scheme: TagScheme) -> TrainedTagger:
    """Returns an untrained BERT tagger without n-gram features, with dropouts as shipped."""
    model, size = ModelSettings(head=head), encoder_settings(layers, hidden)
    encoder = new_encoder("bert", size, len(text.vocabulary), model.encoder_dropout)
    tagger = Tagger(encoder, scheme, model)
    return TrainedTagger(tagger, scheme, text.vocabulary, model, size.window, default_overlap(size))


class Training:
    """daguan's fine-tuning, some updates at a time."""

    def __init__(
        self, text: Mapping[str, str], layers: int, hidden: int, head: str, batch_size: int, threads: int, seed: int = 1
    ) -> None:
        whole = Text(**text)
        self.begin(new_tagger(whole, layers, hidden, head, whole.scheme), whole.short, batch_size, threads, seed)

    def begin(
        self, trained: TrainedTagger, sentences: Sequence[Sentence], batch_size: int, threads: int, seed: int
    ) -> None:
        """Make the trainer; its only evaluation would come after more epochs than a run ever does."""
        prepare_process(threads)
        settings = TrainSettings(epochs=1000, batch_size=batch_size, evaluations=1)
        held_out = sentences[: 2 * batch_size]
        self.trainer = TaggerTrainer(trained, settings, engine_settings(threads), sentences, held_out, seed)
        self.updates = self.trainer.steps()
        self.tokens = 0

    def train(self, updates: int) -> dict[str, Any]:
        """Do that number of updates; returns the tagged tokens they read, the seconds and the CPU seconds they took."""
        start, start_cpu = time.perf_counter(), time.process_time()
        before = self.tokens
        for _ in range(updates):
            self.tokens = next(self.updates).tokens
        flops.settle()
        spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - start_cpu}
        return {"tokens": self.tokens - before, **spent}

    def tokens_a_second(self, updates: int) -> float:
        flops.settle()
        spent = self.train(updates)
        return float(spent["tokens"] / spent["seconds"])

    def memory_gb(self) -> float:
        return flops.memory_gb()


class SyntheticTraining(Training):
    """The same on lines of one length with entities of a given number of types, with its memory."""

    def __init__(
        self, text: Mapping[str, str], layers: int, hidden: int, threads: int, length: int, types: int, tokens: int
    ) -> None:
        whole = Text(**text)
        scheme = TagScheme(tuple(ascii_lowercase[:types]))
        self.lines = synthetic_lines(whole, scheme, length, max(1, tokens // length))
        self.begin(new_tagger(whole, layers, hidden, "crf", scheme), self.lines, 16, threads, 1)

    def epoch(self) -> dict[str, Any]:
        """Once over all lines; returns their tokens, the seconds, and the process's peak memory."""
        self.train(1)  # warm; the first epoch's other updates are those measured
        updates = self.trainer.updates_per_epoch
        measured = max(1, updates - 1)
        spent = self.train(measured)
        seconds = {name: spent[name] * updates / measured for name in ("seconds", "cpu_seconds")}
        return {"tokens": sum(len(line.tokens) for line in self.lines), **seconds, "peak_mb": peak_mb()}


def synthetic_lines(text: Text, scheme: TagScheme, length: int, count: int) -> list[Sentence]:
    """Returns real tokens cut into lines of one length, with an entity of two tokens at every eighth, the types in
    turn."""
    tokens = [token for sentence in text.train for token in sentence.tokens]
    spans = tuple(
        Span(start, start + 2, scheme.labels[number % len(scheme.labels)])
        for number, start in enumerate(range(0, length - 2, 8))
    )
    starts = (number * length % (len(tokens) - length) for number in range(count))
    return [Sentence(tuple(tokens[start : start + length]), spans) for start in starts]


def peak_mb() -> float:
    """Returns the largest memory this process ever used."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
