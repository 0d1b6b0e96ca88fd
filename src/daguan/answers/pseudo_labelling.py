"""Pseudo-labels: lines without gold as the teachers of a fold label them, those of which they are sure.

What a student of fold f learns from comes from the teachers' models of fold f, which were not trained on the lines that
f holds out, and from a blend that was fitted to the gold of the other folds: with other labels on the lines of f, and
the same models, its pseudo-labels are the same, so its score on these lines is out of fold. What is left is what other
scores out of fold have as well: the few numbers of the blend (weights, a threshold, a regression's coefficients) are
fitted to the answers of the other folds' models, which were trained on the lines of f; and a tagger that teaches is the
best of a few evaluations on the lines of f.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.answers.blending import METHODS, check_lines, load_held_out, load_test
from daguan.answers.evidence import Combination, Learner, OutOfFold
from daguan.answers.labelling import Verdict, label, load_members, verdicts
from daguan.core.types import Sentence
from daguan.text.conflicts import lines_by_text
from daguan.text.tags import TagScheme
from daguan.training.devices import EngineSettings
from daguan.training.jobs import MODEL
from daguan.training.pseudo_labels import PseudoLabelSettings

SOURCES = ("test", "corpus")


@dataclass(frozen=True)
class Teachers:
    """The folders of trained runs, what learns to blend them, and (N,) the fold that holds each training line out."""

    runs: Sequence[Path]
    learner: Learner
    fold_of_line: NDArray[np.int64]

    @classmethod
    def of(
        cls, runs: Sequence[Path], train: Sequence[Sentence], fold_of_line: NDArray[np.int64], scheme: TagScheme,
        method: str, seed: int,
    ) -> Teachers:  # fmt: skip
        """By what their folds left. Raises CheckpointError: a fold or a line is missing."""
        answers = [load_held_out(run, int(fold_of_line.max()) + 1) for run in runs]
        check_lines(train, answers)
        learner = METHODS[method].learner(OutOfFold(train, fold_of_line, answers, scheme, seed))
        return cls(runs, learner, fold_of_line)

    def label(
        self, fold: int, test: Sequence[Sentence], lines: Sequence[int], others: Sequence[Sentence],
        engine: EngineSettings,
    ) -> dict[str, list[Verdict]]:  # fmt: skip
        """By the fold's models and what the gold of the other folds taught: these lines of the test file, which the
        fold has answered, and others."""
        combination = self.learner.fit(self.fold_of_line != fold)
        found = (self._test(fold, combination, test, lines), self._others(fold, combination, others, engine))
        return dict(zip(SOURCES, found, strict=True))

    def _test(
        self, fold: int, combination: Combination, test: Sequence[Sentence], lines: Sequence[int]
    ) -> list[Verdict]:
        if not lines:
            return []
        stored = [load_test(run, fold) for run in self.runs]
        check_lines(test, stored)
        answers = [[member[line] for line in lines] for member in stored]
        return verdicts([test[line] for line in lines], answers, combination)

    def _others(
        self, fold: int, combination: Combination, sentences: Sequence[Sentence], engine: EngineSettings
    ) -> list[Verdict]:
        if not sentences:
            return []
        members = load_members([[run / f"fold{fold}" / MODEL] for run in self.runs], engine)
        return label(members, combination, sentences, engine, f"pseudo-labels fold {fold}")


def unlabelled(test: Sequence[Sentence], train: Sequence[Sentence]) -> list[int]:
    """The test lines to label, each text once, and none that stands in train, whose gold is known."""
    known = {sentence.tokens for sentence in train}
    return [lines[0] for text, lines in lines_by_text(test).items() if text not in known]


def kept(found: Sequence[Verdict], settings: PseudoLabelSettings) -> list[Sentence]:
    """Those that are sure enough, and on which enough teachers agree."""
    return [
        verdict.sentence
        for verdict in found
        if verdict.confidence >= settings.confidence and verdict.agreement >= settings.agreement
    ]


def figures(offered: Sequence[Verdict], taken: Sequence[Sentence]) -> dict[str, int]:
    """For the manifest."""
    entities = sum(len(sentence.gold) for sentence in taken)
    return {"offered": len(offered), "kept": len(taken), "entities": entities}
