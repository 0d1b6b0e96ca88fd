"""Pseudo-labels: lines without gold as the teachers of a fold label them, those of which they are sure.

What a student of fold f learns from comes from the teachers' models of fold f, which were not trained on the lines that
f holds out, and from a blend that was fitted to the gold of the other folds: with other labels on the lines of f, and
the same models, its pseudo-labels are the same, so its score on these lines is out of fold. What is left is what other
scores out of fold have as well: the few numbers of the blend (weights, a threshold, a regression's coefficients) are
fitted to the answers of the other folds' models, which were trained on the lines of f; and a tagger that teaches is the
best of a few evaluations on the lines of f.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import DataError
from daguan.core.files import write_json
from daguan.core.progress import say
from daguan.core.types import Sentence
from daguan.data.conflicts import lines_by_text
from daguan.data.format import format_labelled, format_unlabelled, iter_lines, parse_unlabelled, write_lines
from daguan.data.sampling import sample_lines
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.ensemble.blending import METHODS, check_lines, load_held_out, load_test
from daguan.ensemble.combination import Answers, Combination, Learner, OutOfFold
from daguan.ensemble.labelling import Verdict, label, load_members, verdicts
from daguan.families.jobs import MODEL
from daguan.families.pseudo_labels import PseudoLabelSettings, labelled_file
from daguan.training.devices import EngineSettings

SOURCES = ("test", "corpus")


@dataclass(frozen=True)
class Blend:
    """Of each member the folders of models and its stored answers to the test lines; how the members' answers become
    one; a name for a progress bar."""

    models: Sequence[Sequence[Path]]
    combination: Combination
    test: Answers
    name: str

    def label(
        self, test: Sequence[Sentence], lines: Sequence[int], others: Sequence[Sentence], engine: EngineSettings
    ) -> dict[str, list[Verdict]]:
        """These lines of the test file, by what is stored, and others, as `predict` would; by source. Raises
        CheckpointError: what is stored answers other lines."""
        check_lines(test, self.test)
        answers = [[member[line] for line in lines] for member in self.test]
        of_test = verdicts([test[line] for line in lines], answers, self.combination) if lines else []
        of_others: list[Verdict] = []
        if others:
            members = load_members(self.models, engine)
            of_others = label(members, self.combination, others, engine, self.name)
        return dict(zip(SOURCES, (of_test, of_others), strict=True))


@dataclass(frozen=True)
class Teachers:
    """The folders of trained runs, what learns to blend them, and (N,) the fold that holds each training line out."""

    runs: Sequence[Path]
    learner: Learner
    fold_of_line: NDArray[np.int64]

    @classmethod
    def of(
        cls, runs: Sequence[Path], train: Sequence[Sentence], fold_of_line: NDArray[np.int64], scheme: TagScheme,
        method: str, seed: int, text: TextIndex | None,
    ) -> Teachers:  # fmt: skip
        """By what their folds left, and what the text tells. Raises CheckpointError: a fold or a line is missing."""
        answers = [load_held_out(run, int(fold_of_line.max()) + 1) for run in runs]
        check_lines(train, answers)
        learner = METHODS[method].learner(OutOfFold(train, fold_of_line, answers, scheme, seed, text))
        return cls(runs, learner, fold_of_line)

    def combination(self, fold: int) -> Combination:
        """As the gold of the other folds taught it."""
        return self.learner.fit(self.fold_of_line != fold)

    def blend(self, fold: int) -> Blend:
        """Of the fold's models."""
        models = [[run / f"fold{fold}" / MODEL] for run in self.runs]
        test = [load_test(run, fold) for run in self.runs]
        return Blend(models, self.combination(fold), test, f"pseudo-labels fold {fold}")


def unlabelled(test: Sequence[Sentence], train: Sequence[Sentence]) -> list[int]:
    """The test lines to label, each text once, and none that stands in train, whose gold is known."""
    known = {sentence.tokens for sentence in train}
    return [lines[0] for text, lines in lines_by_text(test).items() if text not in known]


def kept(found: Sequence[Verdict], settings: PseudoLabelSettings, gold: Sequence[Sentence]) -> list[Sentence]:
    """Those that are sure enough, and on which enough teachers agree. Lines without an entity, of which models are sure
    most easily, and of which a corpus of another kind is full, are no larger a share than among the gold lines; if they
    are, some are taken from all over."""
    sure = [
        verdict.sentence
        for verdict in found
        if verdict.confidence >= settings.confidence and verdict.agreement >= settings.agreement
    ]
    bare = sum(not sentence.gold for sentence in gold)
    if bare == len(gold):
        return sure
    without = [place for place, sentence in enumerate(sure) if not sentence.gold]
    most = min(len(without), (len(sure) - len(without)) * bare // (len(gold) - bare))
    taken = {without[i * len(without) // most] for i in range(most)}
    return [sentence for place, sentence in enumerate(sure) if sentence.gold or place in taken]


def figures(offered: Sequence[Verdict], taken: Sequence[Sentence]) -> dict[str, int]:
    """For the manifest."""
    entities = sum(len(sentence.gold) for sentence in taken)
    return {"offered": len(offered), "kept": len(taken), "entities": entities}


def keep(
    folder: Path, fold: int, offered: Mapping[str, list[Verdict]], asked: PseudoLabelSettings, gold: Sequence[Sentence]
) -> None:
    """Write what of the labelled lines is good enough, and last how many there are of each source."""
    taken = {source: kept(offered[source], asked, gold) for source in SOURCES}
    write_lines(labelled_file(folder, fold), map(format_labelled, chain(*taken.values())))
    write_json(folder / f"fold{fold}.json", {source: figures(offered[source], taken[source]) for source in SOURCES})


def require_corpus(path: Path, asked: PseudoLabelSettings, section: str = "pseudo_labels") -> None:
    """Before hours of training. section: of the settings, that asks. Raises DataError: there is no corpus, and the test
    lines are not to be labelled either."""
    if not asked.test and not path.is_file():
        raise DataError(f"{path}: expected a corpus, as {section}.test is false, got nothing at that path")


def corpus_sample(
    path: Path, asked: PseudoLabelSettings, known: Sequence[Sentence], seed: int, section: str = "pseudo_labels"
) -> list[Sentence]:
    """Distinct lines of the corpus that are none of the known ones; none where the contest has no corpus. Raises
    DataError as `require_corpus`."""
    require_corpus(path, asked, section)
    if asked.corpus_lines == 0:
        return []
    if not path.is_file():
        say(f"{section}: no {path.name} in {path.parent}: test lines alone")
        return []
    texts = {format_unlabelled(sentence) for sentence in known}
    lines = (line for _, line in iter_lines(path))
    return [parse_unlabelled(line) for line in sample_lines(lines, asked.corpus_lines, seed, texts)]
