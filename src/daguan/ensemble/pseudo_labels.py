"""Labels unlabelled lines with the teachers of a fold, and selects those that they are sure of.

A student of fold f learns from the teachers' models of fold f, which were not trained on the lines held out by f, and
from a blend fitted to the gold of the other folds. Other labels on the lines of f, with the same models, would give the
same pseudo-labels; so the student's score on these lines is out of fold. A small leak remains, as in any nested score:
the few numbers of the blend (weights, a threshold, coefficients) are fitted to marginals of the other folds' models,
which were trained on the lines of f.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import DataError
from daguan.core.files import write_json
from daguan.core.progress import say
from daguan.core.seeds import stream
from daguan.core.types import Sentence
from daguan.data.conflicts import lines_by_text
from daguan.data.format import format_labelled, format_unlabelled, iter_corpus, parse_unlabelled, write_lines
from daguan.data.sampling import sample_lines
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.blending import check_lines, load_held_out, load_test
from daguan.ensemble.combination import Combination, Learner, MemberMarginals, OutOfFoldData
from daguan.ensemble.drawing import Draws
from daguan.ensemble.labelling import LabelledLine, combine_marginals, label, load_members
from daguan.families.fold import MODEL
from daguan.families.pseudo_labels import PseudoLabelSettings, labelled_file
from daguan.training.engine_settings import EngineSettings

SOURCES = ("test", "corpus")


@dataclass(frozen=True)
class TeacherBlend:
    """The blend that labels lines.

    Attributes:
        models: the folders of each member's models.
        combination: combines the members.
        test: the members' stored marginals of the test lines.
        name: of the progress bar.
    """

    models: Sequence[Sequence[Path]]
    combination: Combination
    test: MemberMarginals
    name: str

    def label(
        self,
        test: Sequence[Sentence],
        lines: Sequence[int],
        others: Sequence[Sentence],
        engine: EngineSettings,
        draws: Draws | None = None,
    ) -> dict[str, list[LabelledLine]]:
        """Labels `lines` of the test file from stored marginals, and `others` with the models; returns both by source.

        draws: how labels are drawn; None for the most probable ones.

        Raises:
            CheckpointError: the stored marginals are of other lines.
        """
        check_lines(test, self.test)
        marginals = [[member[line] for line in lines] for member in self.test]
        given = [test[line] for line in lines]
        of_test = combine_marginals(given, marginals, self.combination, draws) if lines else []
        of_others: list[LabelledLine] = []
        if others:
            members = load_members(self.models, engine)
            of_others = label(members, self.combination, others, self.name, draws)
        return dict(zip(SOURCES, (of_test, of_others), strict=True))


@dataclass(frozen=True)
class Teachers:
    """The trained runs that teach.

    Attributes:
        runs: their folders.
        learner: fits their blend.
        fold_of_line: (N,) the fold that holds each training line out.
    """

    runs: Sequence[Path]
    learner: Learner
    fold_of_line: NDArray[np.int64]

    @classmethod
    def of(cls, runs: Sequence[Path], data: OutOfFoldData) -> Teachers:
        """Reads the runs' marginals; others are not read. Raises CheckpointError: a fold or a line is missing."""
        marginals = [load_held_out(run, int(data.fold_of_line.max()) + 1) for run in runs]
        check_lines(data.gold, marginals)
        learner = METHODS[data.settings.method].load().learner(replace(data, marginals=marginals))
        return cls(runs, learner, data.fold_of_line)

    def combination(self, fold: int) -> Combination:
        """Returns the combination fitted to the gold of the other folds."""
        return self.learner.fit(self.fold_of_line != fold)

    def blend(self, fold: int) -> TeacherBlend:
        """Returns the blend of the fold's models."""
        models = [[run / f"fold{fold}" / MODEL] for run in self.runs]
        test = [load_test(run, fold) for run in self.runs]
        return TeacherBlend(models, self.combination(fold), test, f"pseudo-labels fold {fold}")


def lines_to_label(test: Sequence[Sentence], train: Sequence[Sentence]) -> list[int]:
    """Returns the numbers of the test lines to label: each text once, and none that occurs in train."""
    known = {sentence.tokens for sentence in train}
    return [lines[0] for text, lines in lines_by_text(test).items() if text not in known]


def select_reliable(
    found: Sequence[LabelledLine], settings: PseudoLabelSettings, gold: Sequence[Sentence]
) -> list[Sentence]:
    """Returns the lines with enough confidence and agreement.

    Models are surest of lines without an entity, and a foreign corpus is full of them. Their share is limited to that
    among the gold lines; surplus ones are dropped evenly. Drawn labels have no such limit: lines without an entity are
    then as frequent as the models expect.
    """
    sure = [
        line.sentence
        for line in found
        if line.confidence >= settings.confidence and line.agreement >= settings.agreement
    ]
    bare = sum(not sentence.gold for sentence in gold)
    if settings.draws or bare == len(gold):
        return sure
    without = [place for place, sentence in enumerate(sure) if not sentence.gold]
    most = min(len(without), (len(sure) - len(without)) * bare // (len(gold) - bare))
    taken = {without[i * len(without) // most] for i in range(most)}
    return [sentence for place, sentence in enumerate(sure) if sentence.gold or place in taken]


def counts_of(offered: Sequence[LabelledLine], taken: Sequence[Sentence], draws: int) -> dict[str, int]:
    """Returns counts for the manifest: of lines, and of entities in the mean of a line's draws."""
    entities = sum(len(sentence.gold) for sentence in taken)
    times = max(1, draws)
    return {"offered": len(offered) // times, "kept": len(taken) // times, "entities": round(entities / times)}


def write_pseudo_labels(
    folder: Path,
    fold: int,
    offered: Mapping[str, list[LabelledLine]],
    asked: PseudoLabelSettings,
    gold: Sequence[Sentence],
) -> None:
    """Writes the selected lines of a fold and, last, their counts by source."""
    taken = {source: select_reliable(offered[source], asked, gold) for source in SOURCES}
    write_lines(labelled_file(folder, fold), map(format_labelled, chain(*taken.values())))
    counts = {source: counts_of(offered[source], taken[source], asked.draws) for source in SOURCES}
    write_json(folder / f"fold{fold}.json", counts)


def draws_of(asked: PseudoLabelSettings, seed: int, fold: int) -> Draws | None:
    """Returns how the labels of a fold's lines are drawn; None if they are not."""
    return Draws(stream(seed, "drawn-labels", fold), asked.draws) if asked.draws else None


def require_corpus(path: Path, asked: PseudoLabelSettings, section: str = "pseudo_labels") -> None:
    """Raises DataError early if there is no corpus although the test lines are not to be labelled.

    `section` is the section of the settings that asks.
    """
    if not asked.test and not path.is_file():
        raise DataError(f"{path}: expected a corpus, as {section}.test is false, got nothing at that path")


def corpus_sample(
    path: Path, asked: PseudoLabelSettings, known: Sequence[Sentence], seed: int, section: str = "pseudo_labels"
) -> list[Sentence]:
    """Returns distinct unknown lines of the corpus; none if the contest has no corpus. Raises DataError as
    `require_corpus`.
    """
    require_corpus(path, asked, section)
    if asked.corpus_lines == 0:
        return []
    if not path.is_file():
        say(f"{section}: no {path.name} in {path.parent}: test lines alone")
        return []
    texts = {format_unlabelled(sentence) for sentence in known}
    lines = (line for _, line in iter_corpus(path))
    return [parse_unlabelled(line) for line in sample_lines(lines, asked.corpus_lines, seed, texts)]
