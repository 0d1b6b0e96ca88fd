"""Lines without gold that a member is trained on by what other members say of them."""

from __future__ import annotations

from pathlib import Path

from daguan.core.settings import Section, require, setting
from daguan.core.types import Sentence
from daguan.data.format import read_labelled


class PseudoLabelSettings(Section):
    """Lines without gold that a member is also trained on, labelled by other members. The share of
    lines without an entity is at most that of the training lines."""

    teachers: tuple[str, ...] = setting(
        (),
        "Members that label more lines to train on, blended by blend.method; none by default. Only a fold's own models "
        "teach it, so no label comes from a model that was trained on the lines held out there.",
    )
    test: bool = setting(True, "Whether the test lines are labelled.")
    corpus_lines: int = setting(0, "Number of lines of the corpus to label, drawn at random.", ge=0)
    confidence: float = setting(0.8, "Lines whose least certain decision is less probable are left out.", ge=0, le=1)
    agreement: float = setting(
        0.0, "Lines on which a smaller share of the teachers gives the blend's answer are left out.", ge=0, le=1
    )
    draws: int = setting(
        0,
        "How often a line's labels are drawn from the blend's probabilities, in place of the most probable ones: soft "
        "labels. Each pass over the lines reads the next draw. Confidence 0 then leaves no line out; 0 or 1 draws "
        "with family ngram_crf, which makes no passes.",
        ge=0,
    )
    weight: float = setting(
        0.5,
        "Weight of the loss of such a line; a gold line has 1. Family ngram_crf cannot weigh lines and takes 1 only.",
        gt=0,
        le=1,
    )
    length: float = setting(
        4.0,
        "Most updates with these lines beside the gold ones, as a multiple of those for the gold ones alone; up to "
        "that, a line is read as often as a gold line would be alone, also where a budget's plan fixed the updates.",
        ge=1,
    )

    def check(self) -> None:
        distinct = len(set(self.teachers)) == len(self.teachers)
        require("teachers", distinct, "distinct members", self.teachers)
        unlabelled = self.test or self.corpus_lines > 0
        require("test", not self.teachers or unlabelled, "true, or pseudo_labels.corpus_lines over 0", self.test)


def labelled_file(folder: Path, fold: int) -> Path:
    """Where a fold's pseudo-labelled lines stand, in the contest's format."""
    return folder / f"fold{fold}.txt"


def read_pseudo_labelled(folder: Path, fold: int) -> list[Sentence]:
    """A fold's lines, each text as often in a row as its labels were drawn; there may be none. Raises DataError: no
    such file, or damaged."""
    path = labelled_file(folder, fold)
    return [] if path.is_file() and path.stat().st_size == 0 else read_labelled(path)
