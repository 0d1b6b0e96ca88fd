"""The text of the measurements: the built-in contest after `prepare`, and the peers' view of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.harness import ROOT
from daguan.cli import prepare
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
QUICK_SLICE = ("contest.train_lines=600", "contest.test_lines=200", "contest.corpus_lines=20000")


def words(quick: bool) -> list[str]:
    """The command line of a daguan stage on the text of the measurements."""
    return [str(ROOT / "configs" / "small.yaml"), *(QUICK_SLICE if quick else SLICE), f"data.work={WORK}"]


def prepared(quick: bool, *more: str) -> Text:
    """Build and prepare the contest unless both are done."""
    line = [*words(quick), *more]
    prepare.main(line)
    stages = Stages(load(line))
    return Text(str(stages.contest.folder), str(stages.prepare.path))


def settings(quick: bool, *more: str) -> Settings:
    """The default preset on the text of the measurements."""
    return load([*words(quick), *more])


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
