"""Distils a blend into a student (Hinton et al. 2015, arXiv 1503.02531).

The student learns from labels, the most probable ones or ones that are drawn from the teacher's probabilities: the
teacher can be any combination, the student any family. What a blend adds to its members is mostly its judge of spans,
which no number of labelled lines teaches a tagger: so the student has a judge of its own, a stack of its answers and
of an n-gram CRF's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daguan.core.settings import Section, require, setting
from daguan.core.types import Score, Sentence
from daguan.data.bootstrap import paired_gains
from daguan.data.scores import report
from daguan.data.span_score import span_scores
from daguan.families.pseudo_labels import PseudoLabelSettings

TEACHER, STUDENT, ALONE, BEST = "teacher", "student", "model alone", "best member"
OTHER_TOKENS = "other_tokens.json"  # of a student: those that its judge knows and its model does not
MEMBERS, MEMBERS_ALONE = "members", "members_alone"  # in the manifest: the student's gains, and its model's alone
Predictions = dict[str, Sequence[Sentence]]  # by name, for the same lines


class DistilSettings(Section):
    """The student to ship, whose model is trained on gold lines and on lines that the blend labels."""

    student: str = setting(
        "",
        "The member whose settings the student has; empty takes the blend's best tagger out of fold, on the lines of "
        "all folds but the one that scores it. It need not be blended, but it must need no other member's run.",
    )
    test: bool = setting(True, "Whether the test lines are labelled for the student.")
    corpus_lines: int = setting(
        20_000, "Number of lines of the corpus to label for the student, drawn at random.", ge=0
    )
    confidence: float = setting(0.5, "Lines whose least certain decision is less probable are left out.", ge=0, le=1)
    draws: int = setting(
        0,
        "How often a line's labels are drawn from the blend's probabilities, in place of the most probable ones: soft "
        "labels. Each pass over the lines reads the next draw. Confidence 0 then leaves no line out; 0 or 1 draws "
        "with family ngram_crf, which makes no passes.",
        ge=0,
    )
    weight: float = setting(
        1.0,
        "Weight of the loss of such a line; a gold line has 1. Family ngram_crf cannot weigh lines and takes 1 only.",
        gt=0,
        le=1,
    )
    length: float = setting(
        4.0,
        "Most updates of the student, as a multiple of those for the gold lines alone; up to that, a line is read as "
        "often as a gold line would be alone, also where a budget's plan fixed the updates.",
        ge=1,
    )

    def check(self) -> None:
        require("test", self.test or self.corpus_lines > 0, "true, or distil.corpus_lines over 0", self.test)

    def choice(self) -> PseudoLabelSettings:
        """Returns which lines are labelled and used, and their weight."""
        return PseudoLabelSettings(
            test=self.test,
            corpus_lines=self.corpus_lines,
            confidence=self.confidence,
            draws=self.draws,
            weight=self.weight,
            length=self.length,
        )


def score_each(predictions: Predictions, gold: Sequence[Sentence]) -> dict[str, dict[str, Any]]:
    """Returns the span scores of each one's predictions."""
    return {name: report(answer, gold, "span").to_json() for name, answer in predictions.items()}


def best_on_other_folds(folds: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Returns the member with the highest span F1 on the lines of all folds but the first, on which the student is
    scored; the first member on a tie.

    folds: by member, the result of each fold.
    """
    f1s = {name: sum((Score(**one["held_out"]) for one in of[1:]), Score()).f1 for name, of in folds.items()}
    return max(f1s, key=f1s.__getitem__)


def gains_of(name: str, predictions: Predictions, gold: Sequence[Sentence]) -> dict[str, dict[str, Any]]:
    """Returns the gain of one's span F1 over each of the others on the same lines."""
    lines = {side: span_scores(answer, gold) for side, answer in predictions.items()}
    ours = lines.pop(name)
    return {name: gain.to_json() for name, gain in zip(lines, paired_gains(ours, [*lines.values()]), strict=True)}


def megabytes(paths: Sequence[Path]) -> float:
    """Returns the size of these files, and of all files in these folders, in 10⁶ bytes."""
    sizes = [file.stat().st_size for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    return sum(sizes) / 1e6
