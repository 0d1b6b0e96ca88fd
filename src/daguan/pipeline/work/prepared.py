"""What stages after `prepare` read: the contest's lines, its folds, and all its text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, labels_of
from daguan.data.contest import Contest, require_unchanged
from daguan.data.folds import read_folds
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.ensemble.blend_settings import BlendSettings
from daguan.ensemble.blending import load_text_index
from daguan.ensemble.combination import OutOfFoldData


@dataclass(frozen=True)
class PreparedContest:
    """A contest and the run of `prepare` on it; each part is read when it is first asked for.

    Attributes:
        train_file: the training lines that take part.
        sha256: the hashes of these and of the test lines, by their paths; other files than these are refused.
        folder: the run of `prepare`.
        seed: of the configuration.
    """

    contest: Contest
    train_file: Path
    sha256: dict[str, str]
    folder: Path
    seed: int

    @cached_property
    def train(self) -> list[Sentence]:
        sentences = read_labelled(self.train_file)
        require_unchanged(self.train_file, self.sha256[str(self.train_file)])
        return sentences

    @cached_property
    def test(self) -> list[Sentence]:
        sentences = read_unlabelled(self.contest.test)
        require_unchanged(self.contest.test, self.sha256[str(self.contest.test)])
        return sentences

    @cached_property
    def known(self) -> list[Sentence]:
        """All lines with gold labels, whether they take part or not."""
        return read_labelled(self.contest.train)

    @cached_property
    def scheme(self) -> TagScheme:
        return TagScheme(labels_of(self.train))

    @cached_property
    def fold_of_line(self) -> NDArray[np.int64]:
        """(N,) the fold that holds each training line out."""
        return read_folds(self.folder)

    @property
    def folds(self) -> int:
        return int(self.fold_of_line.max()) + 1

    @cached_property
    def text(self) -> TextIndex:
        return load_text_index(self.folder)

    def blend_data(self, settings: BlendSettings) -> OutOfFoldData:
        """Returns what a blend is fitted to, without the marginals of its members."""
        return OutOfFoldData(self.train, self.fold_of_line, (), self.scheme, self.seed, self.text, settings)
