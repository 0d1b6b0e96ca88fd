"""Measures seconds and peak memory against the size of the corpus, the length of lines and the number of types.

`prepare` and the first updates of `pretrain` run as a user runs them, on corpora of 1 to 64 million tokens and one of
the official contest's size, made of halves of the built-in contest's lines; each file is dropped from the page cache
first. A pandas reader does the same to one of them. The tagger (BERT 4x256, CRF) trains on lines of 50 to 2,000 tokens
and on 3 to 26 types; the tokens are real and the entities made up. CPU seconds decide whether time is linear, as other
work on the machine distorts them least. The plot is benchmarks/growth.png.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import data, ours, reading
from benchmarks.growth_plot import draw
from benchmarks.harness import ROOT, Aim, Report, Row, machine, options, our_environment
from benchmarks.measured import Measured, measure
from benchmarks.sides import Side

THREADS = 2
FULL = 93  # million tokens: the official corpus
MILLIONS = (1, 4, 16, 64, FULL)
MILLIONS_QUICK = (0.1, 0.2)
PANDAS_AT = 16
UPDATES = 5  # of pretraining, to see its memory
LENGTHS = (50, 100, 200, 400, 800, 1600, 2000)
TYPES = (3, 8, 16, 26)
TOKENS = 48_000  # tagged in each run
MOST_MB = 2000
LINEAR = 1.3


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    text = data.prepared(asked.quick)
    report = Report("growth", machine(THREADS, ours.precision()))
    by_size = [corpus_row(report, text, millions, asked.quick) for millions in sizes(asked.quick)]
    add_corpus_aims(report, by_size)
    lengths, types = (LENGTHS, TYPES) if not asked.quick else (LENGTHS[:2], TYPES[:2])
    by_length = [training_row(report, text, length, 3, asked.quick) for length in lengths]
    by_types = [training_row(report, text, 100, number, asked.quick) for number in types]
    longest, short = by_length[-1], by_length[0 if asked.quick else LENGTHS.index(400)]
    growth = longest["CPU µs a token"] / short["CPU µs a token"]
    name = f"CPU time a token, lines of {longest['line']} over {short['line']} tokens"
    report.aims.append(Aim.below(name, LINEAR, growth))
    path = data.WORK / "growth.png" if asked.quick else Path(__file__).with_name("growth.png")
    draw(path, by_size, by_length, by_types)
    report.note(f"plot: {path}")
    report.show(asked.json)


def sizes(quick: bool) -> tuple[float, ...]:
    return MILLIONS_QUICK if quick else MILLIONS


def corpus_row(report: Report, text: data.Text, millions: float, quick: bool) -> Row:
    """Make a corpus, prepare it, begin to pretrain on it, and remove it again."""
    with tempfile.TemporaryDirectory(dir=data.WORK) as name:
        folder = Path(name) / "contest"
        size = data.make_corpus(Path(text.contest), folder, round(millions * 1e6))
        disk = reading.disk_rate(folder / "corpus.txt")
        reading.forget(folder / "corpus.txt")
        prepare, pretrain = (stage(folder, command) for command in ("prepare", "pretrain"))
        row = {"corpus, M tokens": millions, "MB": size / 1e6, "prepare, s": prepare.seconds}
        row |= {"prepare, CPU s": prepare.cpu_seconds}
        row |= {"prepare, MB/s": size / 1e6 / prepare.seconds, "disk, MB/s": disk}
        row |= {"prepare, peak MB": prepare.peak_mb, "pretrain, peak MB": pretrain.peak_mb}
        report.add(row)
        if millions == PANDAS_AT or quick:
            add_pandas(report, folder, millions, prepare)
    return row


def stage(folder: Path, command: str) -> Measured:
    """A daguan stage in the default preset, on the contest in `folder`."""
    work = [
        f"data.dir={folder}",
        f"data.work={folder.parent / 'work'}",
        f"pretrain.tokens={UPDATES * 32 * data.LENGTH}",
    ]
    config = str(ROOT / "configs" / "small.yaml")
    return measure([sys.executable, "-m", "daguan", command, config, *work], os.environ)


def add_pandas(report: Report, folder: Path, millions: float, prepare: Measured) -> None:
    """Read the same corpus by pandas."""
    reading.forget(folder / "corpus.txt")
    pandas = measure([sys.executable, "-m", "benchmarks.reading", str(folder)], os.environ)
    row = {"corpus, M tokens": millions, "pandas, s": pandas.seconds, "pandas, peak MB": pandas.peak_mb}
    report.add(row | {"prepare, s": prepare.seconds, "prepare, peak MB": prepare.peak_mb})


def add_corpus_aims(report: Report, rows: list[Row]) -> None:
    """Add aims: memory at the largest size; time a token at the second largest over that at the second smallest."""
    for what in ("prepare", "pretrain"):
        name = f"{what}: peak MB at {rows[-1]['corpus, M tokens']} M tokens"
        report.aims.append(Aim.below(name, MOST_MB, rows[-1][f"{what}, peak MB"], " MB"))
    few, many = (rows[1], rows[-2]) if len(rows) > 3 else (rows[0], rows[-1])
    growth = (many["prepare, CPU s"] / many["corpus, M tokens"]) / (few["prepare, CPU s"] / few["corpus, M tokens"])
    name = f"prepare: CPU time a token at {many['corpus, M tokens']} M over {few['corpus, M tokens']} M"
    report.aims.append(Aim.below(name, LINEAR, growth))


def training_row(report: Report, text: data.Text, length: int, types: int, quick: bool) -> Row:
    """Train the tagger in a fresh process on lines of one length."""
    layers, hidden = ours.QUICK_SIZE if quick else ours.SIZES["4x256"]
    given: dict[str, Any] = {"text": asdict(text), "layers": layers, "hidden": hidden, "threads": THREADS}
    given |= {"length": length, "types": types, "tokens": TOKENS // 8 if quick else TOKENS}
    with Side("benchmarks.ours:SyntheticTraining", our_environment(THREADS), **given) as side:
        found = side.call("epoch")
    seconds = found["seconds"]
    row = {"line": length, "types": types, "tokens": found["tokens"], "seconds": seconds}
    row |= {"CPU µs a token": 1e6 * found["cpu_seconds"] / found["tokens"], "peak MB": found["peak_mb"]}
    report.add(row)
    return row


if __name__ == "__main__":
    main(sys.argv[1:])
