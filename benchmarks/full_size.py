"""The official contest's size without a GPU: `prepare` on 93 million tokens, and two updates of preset base12.

The contest is made up: integers with Zipf's frequencies, lines of about 40 tokens, 17,000 labelled and 3,000 test
lines. The updates are those of the preset, accumulated from batches of 8 blocks, which need less memory and give the
same gradients; `--rows` accumulates fewer blocks, with the same memory in less time. What is measured is seconds and
peak memory; nothing is learnt.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Aim, Report, machine
from benchmarks.measured import Measured, measure
from daguan.core.types import Sentence, Span
from daguan.data.batches.packing import Blocks, token_file
from daguan.data.format import format_labelled, format_unlabelled, write_lines
from daguan.data.vocabulary import Vocabulary
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.devices import cores, prepare_process
from daguan.training.pretraining import Pretrainer

TOKENS, TYPES, LINES, TEST_LINES = 93_000_000, 21_000, 17_000, 3_000
LENGTH, SHORTEST = 40, 5  # tokens of a line, in the mean and at least
CHUNK = 1_000_000  # tokens drawn at a time
PRESET, UPDATES, BATCH = "base12", 2, 8
PREPARE_MB, UPDATE_MB = 2_000, 12_000
SEED = 93


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=lambda text: int(float(text)), default=TOKENS, help="of the corpus")
    parser.add_argument("--rows", type=int, default=256, help="blocks of text in an update, a multiple of 8")
    parser.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    parser.add_argument("--updates", metavar="FOLDER", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.updates:
        do_updates(configured(Path(asked.updates), asked.rows))
        return
    report = Report("full_size", machine(cores()))
    with tempfile.TemporaryDirectory() as name:
        folder, since = Path(name), time.perf_counter()
        make_contest(folder / "contest", asked.tokens)
        report.note(f"the contest was made in {time.perf_counter() - since:.0f} s")
        size = f"{asked.tokens / 1e6:g} M tokens"
        line = configured(folder, asked.rows)
        prepared = measure([sys.executable, "-m", "daguan", "prepare", *line], os.environ)
        add(report, f"prepare, {size}", prepared, PREPARE_MB)
        command = [sys.executable, "-m", "benchmarks.full_size", "--updates", name, "--rows", str(asked.rows)]
        add(report, f"{UPDATES} updates of {PRESET}, {asked.rows} blocks", measure(command, os.environ), UPDATE_MB)
    report.show(asked.json)


def add(report: Report, name: str, found: Measured, most: int) -> None:
    row = {"work": name, "seconds": found.seconds, "CPU seconds": found.cpu_seconds, "peak MB": found.peak_mb}
    report.add(row, Aim.below(f"{name}: peak MB", most, found.peak_mb, " MB"))


def configured(folder: Path, rows: int) -> list[str]:
    """Returns the command line of a stage."""
    places = [f"data.{name}={folder / name}" for name in ("work", "submissions")]
    accumulated = [f"pretrain.batch_size={BATCH}", f"pretrain.accumulation={rows // BATCH}"]
    return [PRESET, f"data.dir={folder / 'contest'}", *places, *accumulated]


def do_updates(line: list[str]) -> None:
    """Do the first updates of the pretraining that `pretrain` would begin with these words."""
    settings = load(line)
    stages = Stages(settings)
    made, vocabulary = settings.member(settings.members[0]), Vocabulary.load(stages.prepare.path)
    prepare_process(cores())
    blocks = Blocks(token_file(stages.prepare.path, len(vocabulary)), made.encoder.max_length)
    trainer = Pretrainer(
        made.model.encoder, made.encoder, made.pretrain, settings.engine, blocks, len(vocabulary), made.seed
    )
    for update in trainer.steps():
        print(f"update {update.done}: loss {update.loss:.3f}", flush=True)
        if update.done == UPDATES:
            return


def make_contest(folder: Path, tokens: int) -> None:
    """Write a made-up contest with a corpus of about that many tokens."""
    rng = np.random.default_rng(SEED)
    labelled = [annotated(rng, line) for line in drawn(rng, LENGTH * (LINES + TEST_LINES) * 2)][: LINES + TEST_LINES]
    write_lines(folder / "train.txt", map(format_labelled, labelled[:LINES]))
    write_lines(folder / "test.txt", map(format_unlabelled, labelled[LINES:]))
    names = [str(number) for number in rng.permutation(TYPES)]
    with (folder / "corpus.txt").open("w", encoding="utf-8") as file:
        for line in drawn(rng, tokens):
            file.write("_".join([names[number] for number in line.tolist()]) + "\n")


def drawn(rng: np.random.Generator, tokens: int) -> Iterator[NDArray[np.int64]]:
    """Yields lines of token numbers, which fall in frequency as 1 / (rank + 3)."""
    shares = np.cumsum(1 / (np.arange(TYPES) + 3.0))
    while tokens > 0:
        chunk = np.searchsorted(shares, rng.random(min(CHUNK, tokens)) * shares[-1])
        ends = np.cumsum(SHORTEST + rng.poisson(LENGTH - SHORTEST, len(chunk) // LENGTH + 1))
        yield from (line for line in np.split(chunk, ends[ends < len(chunk)]) if len(line))
        tokens -= len(chunk)


def annotated(rng: np.random.Generator, line: NDArray[np.int64]) -> Sentence:
    """Returns the line with an entity of one to three tokens in every twenty."""
    tokens = tuple(map(str, line.tolist()))
    spans = [
        Span(start, min(len(tokens), start + int(rng.integers(1, 4))), "abc"[int(rng.integers(3))])
        for start in range(0, len(tokens), 20)
    ]
    return Sentence(tokens, tuple(spans))


if __name__ == "__main__":
    main(sys.argv[1:])
