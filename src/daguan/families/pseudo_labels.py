"""Lines without gold that a member is trained on by what other members say of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daguan.core.settings import require
from daguan.core.types import Sentence
from daguan.data.format import read_labelled


@dataclass(frozen=True)
class PseudoLabelSettings:
    """teachers: the members that label more lines to train on, blended by blend.method; none by default. Each fold is
    taught by its own models alone, so that no label comes from a model that was trained on the lines held out there.
    test: are the test lines among them? corpus_lines: how many lines of the corpus are, drawn at random. confidence:
    lines whose least certain decision is less probable are left out. agreement: so are lines on which a smaller share
    of the teachers gives the blend's answer. What is kept has no larger a share of lines without an entity than train
    has. weight: what the loss of such a line counts beside that of a gold one (1 with family ngram_crf, which cannot
    weigh lines)."""

    teachers: tuple[str, ...] = ()
    test: bool = True
    corpus_lines: int = 0
    confidence: float = 0.8
    agreement: float = 0.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        distinct = len(set(self.teachers)) == len(self.teachers)
        require("teachers", distinct, "distinct members", self.teachers)
        for name in ("confidence", "agreement"):
            require(name, 0 <= getattr(self, name) <= 1, "0 to 1", getattr(self, name))
        require("corpus_lines", self.corpus_lines >= 0, "at least 0", self.corpus_lines)
        require("weight", 0 < self.weight <= 1, "over 0, at most 1", self.weight)
        unlabelled = self.test or self.corpus_lines > 0
        require("test", not self.teachers or unlabelled, "true, or pseudo_labels.corpus_lines over 0", self.test)


def labelled_file(folder: Path, fold: int) -> Path:
    """Where a fold's pseudo-labelled lines stand, in the contest's format."""
    return folder / f"fold{fold}.txt"


def read_pseudo_labelled(folder: Path, fold: int) -> list[Sentence]:
    """A fold's lines; there may be none. Raises DataError: no such file, or damaged."""
    path = labelled_file(folder, fold)
    return [] if path.is_file() and path.stat().st_size == 0 else read_labelled(path)
