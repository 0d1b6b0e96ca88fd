"""Distillation: a blend's answers taught to one model (Hinton et al. 2015, arXiv 1503.02531), here by labels and not by
beliefs, so that the teacher may be any combination and the student of any family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daguan.core.settings import require
from daguan.core.types import Sentence
from daguan.data.scores import paired_gains, report, span_scores
from daguan.families.pseudo_labels import PseudoLabelSettings
from daguan.training.fine_tuning_settings import TrainSettings

TEACHER, STUDENT, BEST = "teacher", "student", "best member"
Sides = dict[str, Sequence[Sentence]]  # what each of those answers to the same lines


@dataclass(frozen=True)
class DistilSettings:
    """student: the member whose settings make the model that is to be shipped; it may be none of those that are
    blended, but needs no other's run. The lines that the blend labels for it beside the gold ones: test, the test
    lines; corpus_lines: how many of the corpus, drawn at random. confidence: lines whose least certain decision is less
    probable are left out. weight: what the loss of such a line counts beside that of a gold one (1 with family
    ngram_crf, which cannot weigh lines)."""

    student: str = "tagger"
    test: bool = True
    corpus_lines: int = 20_000
    confidence: float = 0.5
    weight: float = 1.0

    def __post_init__(self) -> None:
        require("test", self.test or self.corpus_lines > 0, "true, or distil.corpus_lines over 0", self.test)
        self.choice()  # checks the rest

    def choice(self) -> PseudoLabelSettings:
        """Which lines are labelled, kept, and how they are weighed."""
        return PseudoLabelSettings((), self.test, self.corpus_lines, self.confidence, 0.0, self.weight)


def judged_at_the_end(train: TrainSettings) -> TrainSettings:
    """As what is shipped must be, which has no lines to be best on."""
    return replace(train, evaluations=1, patience=0)


def scored(sides: Sides, gold: Sequence[Sentence]) -> dict[str, dict[str, Any]]:
    """Strict span scores of each side."""
    return {name: report(answer, gold, "span").to_json() for name, answer in sides.items()}


def student_gains(sides: Sides, gold: Sequence[Sentence]) -> dict[str, dict[str, Any]]:
    """How much the student's span F1 is above each other side's on the same lines."""
    lines = {name: span_scores(answer, gold) for name, answer in sides.items()}
    ours = lines.pop(STUDENT)
    return {name: gain.to_json() for name, gain in zip(lines, paired_gains(ours, [*lines.values()]), strict=True)}


def megabytes(paths: Sequence[Path]) -> float:
    """Of all files in these folders, in 10⁶ bytes."""
    sizes = [file.stat().st_size for path in paths for file in sorted(path.rglob("*")) if file.is_file()]
    return sum(sizes) / 1e6
