"""The data sets that the benchmarks share: the built-in contest, UNER Chinese, and corpora of any size."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.harness import ROOT, command
from daguan.core.types import Sentence, labels_of
from daguan.data.batches.packing import token_file
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import Vocabulary
from daguan.pipeline.settings import Settings, load
from daguan.pipeline.stages import Stages

WORK = ROOT / "data" / "benchmarks"
LENGTH = 128  # positions of every model here, [CLS] and [SEP] included
WINDOW = LENGTH - 2
SLICE = ("contest.train_lines=6000", "contest.test_lines=3000")  # as in the default preset
SHARED = ROOT.parent / "shared" / "data"  # data sets beside the project, in contest format
PEOPLE, UNER = "people_daily", SHARED / "uner_zh"
PIECES = 3  # parts of lines that make up a new line: 55 tokens in the mean, as in the official corpus
QUICK_SLICE = ("contest.train_lines=600", "contest.test_lines=200", "contest.corpus_lines=20000")


def names() -> list[str]:
    """Returns the names of the data sets that are there."""
    return [PEOPLE, *([UNER.name] if UNER.is_dir() else [])]


def words(quick: bool, name: str = PEOPLE) -> list[str]:
    """Returns the command line of a stage in the default preset on a data set."""
    config, size = str(ROOT / "configs" / "small.yaml"), QUICK_SLICE if quick else SLICE
    return [config, *size, f"data.work={WORK}", *([f"data.dir={UNER}"] if name == UNER.name else [])]


def prepared(quick: bool, *more: str) -> Text:
    """Build and prepare the contest unless both are done."""
    return Text(**DataSet.prepared([*words(quick), *more]).text)


def settings(quick: bool, *more: str) -> Settings:
    """The default preset on the text of the measurements."""
    return load([*words(quick), *more])


@dataclass(frozen=True)
class DataSet:
    """A contest with its folds and ids, and the stages of a command line on it."""

    stages: Stages

    @classmethod
    def prepared(cls, line: list[str]) -> DataSet:
        command("prepare", line)
        return cls(Stages(load(line)))

    @property
    def text(self) -> dict[str, str]:
        return {"contest": str(self.stages.contest.folder), "run": str(self.stages.prepare.path)}


@dataclass(frozen=True)
class Text:
    """The paths of the contest and of its prepared files, as plain values that can be sent to a side's process."""

    contest: str
    run: str

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.load(Path(self.run))

    @property
    def tokens(self) -> Path:
        """The token file."""
        return token_file(Path(self.run), len(self.vocabulary))

    @cached_property
    def train(self) -> list[Sentence]:
        return read_labelled(Path(self.contest) / "train.txt")

    @cached_property
    def test(self) -> list[Sentence]:
        return read_unlabelled(Path(self.contest) / "test.txt")

    @cached_property
    def scheme(self) -> TagScheme:
        return TagScheme(labels_of(self.train))

    @property
    def short(self) -> list[Sentence]:
        """Returns the training lines that fit uncut into either model."""
        return [sentence for sentence in self.train if len(sentence.tokens) <= WINDOW]


def _halves(lines: list[str]) -> tuple[list[str], list[str]]:
    """Returns the first and the second halves of all lines of two tokens or more."""
    first, second = [], []
    for line in lines:
        tokens = line.split("_")
        middle = len(tokens) // 2
        if middle:
            first.append("_".join(tokens[:middle]))
            second.append("_".join(tokens[middle:]))
    return first, second


def make_corpus(contest: Path, folder: Path, tokens: int) -> int:
    """Make a contest with a corpus of about that many tokens: random half lines joined, so that few texts are equal.

    Returns the bytes of corpus.txt.
    """
    folder.mkdir(parents=True)
    for name in ("train.txt", "test.txt"):
        shutil.copyfile(contest / name, folder / name)
    first, second = _halves((contest / "corpus.txt").read_text("utf-8").split("\n"))
    rng = random.Random(tokens)
    left = tokens
    with (folder / "corpus.txt").open("w", encoding="utf-8") as file:
        while left > 0:
            line = "_".join([rng.choice(first), *rng.choices(second, k=PIECES - 1)])
            left -= line.count("_") + 1
            file.write(line if left <= 0 else f"{line}\n")
        file.flush()
        os.fsync(file.fileno())
    return (folder / "corpus.txt").stat().st_size
