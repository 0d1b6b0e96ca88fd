"""The stage `distil`: lines that the blend labels, and how its student compares with it.

Two students are trained. The scored one is trained as fold 0 is, by fold 0's models and a blend of them; the shipped
one on all lines, by the whole blend. Each has a judge, which chooses among the spans that the student's model or an
n-gram CRF proposes: a stack that reads no text, fitted to held-out answers of the student's member, as the student's
own would need a student for each fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from daguan.core.files import read_json, write_json
from daguan.core.progress import say
from daguan.core.quantity import quantity
from daguan.core.runs import Run, Stopwatch
from daguan.core.types import Sentence
from daguan.data.decoding import decode_lines
from daguan.data.folds import Fold, read_fold
from daguan.data.format import format_labelled, read_labelled, write_lines
from daguan.data.marginals import Marginals
from daguan.data.span_score import span_score
from daguan.data.vocabulary import Vocabulary
from daguan.ensemble.blend_settings import BlendSettings
from daguan.ensemble.blending import check_lines, load_blend, load_held_out, load_member, save_blend
from daguan.ensemble.combination import Combination, Learner
from daguan.ensemble.distillation import (
    ALONE,
    BEST,
    MEMBERS,
    MEMBERS_ALONE,
    OTHER_TOKENS,
    STUDENT,
    TEACHER,
    Predictions,
    gains_of,
    megabytes,
    score_each,
)
from daguan.ensemble.labelling import Members, load_members
from daguan.ensemble.pseudo_labels import (
    TeacherBlend,
    Teachers,
    corpus_sample,
    draws_of,
    lines_to_label,
    write_pseudo_labels,
)
from daguan.ensemble.stacking import StackLearner
from daguan.families.fold import HELD_OUT, MODEL, TEST
from daguan.families.pseudo_labels import PseudoLabelSettings
from daguan.pipeline.work.predict import files_of, find_models, predict
from daguan.pipeline.work.prepared import PreparedContest
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import annotate

ANSWER = "answer.txt"
LABELS, SCORED, SHIPPED, PARTNER = "labels", "scored", "shipped", "ngram_crf"  # folders of a run
OVER_MEMBERS = {MEMBERS: STUDENT, MEMBERS_ALONE: ALONE}
SAMPLE_LINES, SAMPLE_TOKENS, TURNS = 500, 20_000, 3  # at most; each side labels them that often to measure its speed


@dataclass(frozen=True)
class Lesson:
    """What both students are taught, and by whom.

    Attributes:
        runs: the members' runs, in the blend's order.
        rivals: other runs that the student is compared with.
        blend: the blend's run.
        judged: the runs whose held-out answers a judge is fitted to: one that stands for the student, and that of the
            n-gram CRF that is shipped with it, if there is one.
        settings: of the blend.
        asked: which lines are labelled and used.
    """

    prepared: PreparedContest
    runs: Sequence[Path]
    rivals: Sequence[Path]
    blend: Path
    judged: Sequence[Path]
    settings: BlendSettings
    asked: PseudoLabelSettings
    engine: EngineSettings

    @property
    def fold(self) -> Fold:
        """The fold on whose held-out lines a student is scored."""
        return read_fold(self.prepared.folder, 0)

    @cached_property
    def best(self) -> int:
        """The place of the member with the highest span F1 on the lines of the other folds."""
        lines, prepared = self.fold.train.tolist(), self.prepared
        gold = [prepared.train[line] for line in lines]

        def f1(run: Path) -> float:
            answers = load_held_out(run, prepared.folds)
            return span_score(annotate(gold, decode_lines([answers[i] for i in lines], prepared.scheme)), gold).f1

        scores = [*map(f1, self.runs)]
        return scores.index(max(scores))

    @cached_property
    def teachers(self) -> Teachers:
        """The teachers of that fold, blended as the blend is."""
        return Teachers.of(self.runs, self.prepared.blend_data(self.settings))

    @cached_property
    def judges(self) -> Learner:
        """Fits the students' judges."""
        answers = [load_held_out(run, self.prepared.folds) for run in self.judged]
        check_lines(self.prepared.train, answers)
        data = replace(self.prepared.blend_data(self.settings), marginals=answers, text=None)
        return StackLearner(data)

    @cached_property
    def scored_judge(self) -> Combination:
        """The judge fitted to the gold of the other folds."""
        return self.judges.fit(self.prepared.fold_of_line != self.fold.index)

    @cached_property
    def shipped_judge(self) -> Combination:
        """The judge fitted to all lines."""
        return self.judges.fit(np.ones(len(self.prepared.train), bool))

    @cached_property
    def teacher(self) -> TeacherBlend:
        """The whole blend."""
        models, combination = load_blend(self.blend)
        return TeacherBlend(
            models, combination, [load_member(run, self.prepared.folds).test for run in self.runs], "distil"
        )


def label(folder: Path, lesson: Lesson) -> dict[str, Any]:
    """Write each student's lines, unless they are written; returns how many lines of which source."""
    asked, prepared, count = lesson.asked, lesson.prepared, lesson.prepared.folds
    if not all((folder / f"fold{fold}.json").is_file() for fold in (0, count)):
        known, test, train = prepared.known, prepared.test, prepared.train
        corpus = corpus_sample(prepared.contest.corpus, asked, [*known, *test], prepared.seed, "distil")
        lines = lines_to_label(test, known) if asked.test else []
        for fold, teacher in ((0, lesson.teachers.blend(0)), (count, lesson.teacher)):
            draws = draws_of(asked, prepared.seed, fold)
            write_pseudo_labels(folder, fold, teacher.label(test, lines, corpus, lesson.engine, draws), asked, train)
    found = {name: read_json(folder / f"fold{fold}.json") for name, fold in ((SCORED, 0), (SHIPPED, count))}
    for name, sources in found.items():
        counts = [f"{of['kept']:,} of {quantity(of['offered'], f'{source} line')}" for source, of in sources.items()]
        say(f"distil: {name} student: {', '.join(counts)} kept")
    return found


def distil(run: Run, lesson: Lesson, watch: Stopwatch) -> None:
    """Fit the judge, compare the trained students with their teachers, write the shipped one's test lines, and finish
    the run."""
    if not (run.path / MODEL).is_dir():
        (run.path / SHIPPED / MODEL).rename(run.path / MODEL)
    models = [[run.path / MODEL], *([run.path / PARTNER / MODEL] for _ in lesson.judged[1:])]
    save_blend(run.path, "stack", lesson.shipped_judge, models, None)
    write_json(run.path / OTHER_TOKENS, other_tokens(lesson.prepared.train, Vocabulary.load(lesson.prepared.folder)))
    found = measure(run.path, lesson)
    run.finish(watch.seconds, **found, labelled=label(run.path / LABELS, lesson))


def other_tokens(train: Sequence[Sentence], vocabulary: Vocabulary) -> list[str]:
    """Returns the tokens of the training lines that the vocabulary lacks: a judge and an n-gram CRF know these, too."""
    return sorted({token for sentence in train for token in sentence.tokens if token not in vocabulary})


def measure(folder: Path, lesson: Lesson) -> dict[str, Any]:
    """Returns each side's figures, and the gains on fold 0's held-out lines: of the student over the sides, and of the
    student and of its model alone over each member and rival. Writes the student's answer."""
    prepared = lesson.prepared
    gold = [prepared.train[line] for line in lesson.fold.held_out]
    held_out, test = held_out_answers(folder, lesson, gold), answers_to_test(folder, lesson)
    write_lines(folder / ANSWER, map(format_labelled, test[STUDENT]))
    best = lesson.runs[lesson.best]
    names = {TEACHER: lesson.blend.name, STUDENT: folder.name, ALONE: folder.name, BEST: best.name}
    found = score_each(held_out, gold)
    sides: dict[str, dict[str, Any]] = {name: {"run": run, "held_out": found[name]} for name, run in names.items()}
    path = prepared.contest.test_gold
    for name, score in (score_each(test, read_labelled(path)) if path.is_file() else {}).items():
        sides[name]["test"] = score
    places = {TEACHER: lesson.blend, STUDENT: folder, ALONE: folder / MODEL, BEST: best}
    models = {name: find_models(place) for name, place in places.items()}
    loaded = {name: (load_members(paths, lesson.engine), way) for name, (paths, way) in models.items()}
    for name, rate in rates(loaded, sample(prepared.test)).items():
        count = sum(map(len, models[name][0]))
        sides[name] |= {"models": count, "megabytes": megabytes(files_of(places[name])), "lines_per_second": rate}
    members = answers_of_members(lesson, gold)
    over = {name: gains_of(side, {side: held_out[side], **members}, gold) for name, side in OVER_MEMBERS.items()}
    return {"sides": sides, "gains": gains_of(STUDENT, held_out, gold), **over}


def held_out_answers(folder: Path, lesson: Lesson, gold: Sequence[Sentence]) -> Predictions:
    """Returns the answers to fold 0's held-out lines: the student's, its model's alone, those of a blend fitted to the
    other folds, and those of the member that is best on the lines of the others."""
    fold, scheme = lesson.fold, lesson.prepared.scheme
    answers = [load_held_out(run, lesson.prepared.folds) for run in lesson.runs]
    of_fold = [[member[line] for line in fold.held_out] for member in answers]
    combination = lesson.teachers.combination(fold.index)
    student = Marginals.load(folder / SCORED / HELD_OUT).per_line()
    partners = [Marginals.load(run / f"fold{fold.index}" / HELD_OUT).per_line() for run in lesson.judged[1:]]
    spans = {
        TEACHER: combination.spans(gold, of_fold),
        STUDENT: lesson.scored_judge.spans(gold, [student, *partners]),
        ALONE: decode_lines(student, scheme),
        BEST: decode_lines(of_fold[lesson.best], scheme),
    }
    return {name: annotate(gold, found) for name, found in spans.items()}


def answers_of_members(lesson: Lesson, gold: Sequence[Sentence]) -> Predictions:
    """Returns the answers of each member and rival alone to fold 0's held-out lines."""
    fold, prepared = lesson.fold, lesson.prepared
    found: Predictions = {}
    for run in [*lesson.runs, *lesson.rivals]:
        answers = load_held_out(run, prepared.folds)
        found[run.name] = annotate(gold, decode_lines([answers[line] for line in fold.held_out], prepared.scheme))
    return found


def answers_to_test(folder: Path, lesson: Lesson) -> Predictions:
    """Returns the answers to the test lines, as `predict` gives them."""
    test, scheme, teacher = lesson.prepared.test, lesson.prepared.scheme, lesson.teacher
    student, *partners = (
        Marginals.load(folder / part / TEST).per_line() for part in (SHIPPED, PARTNER)[: len(lesson.judged)]
    )
    spans = {
        TEACHER: teacher.combination.spans(test, teacher.test),
        STUDENT: lesson.shipped_judge.spans(test, [student, *partners]),
        ALONE: decode_lines(student, scheme),
        BEST: decode_lines(teacher.test[lesson.best], scheme),
    }
    return {name: annotate(test, found) for name, found in spans.items()}


def sample(sentences: Sequence[Sentence]) -> Sequence[Sentence]:
    """Returns at most SAMPLE_LINES of the sentences, evenly taken, and none that begins after SAMPLE_TOKENS of them."""
    some = sentences[:: -(-len(sentences) // SAMPLE_LINES)]
    ends = accumulate(len(sentence.tokens) for sentence in some)
    return [one for one, end in zip(some, ends, strict=True) if end - len(one.tokens) < SAMPLE_TOKENS]


def rates(sides: Mapping[str, tuple[Members, Combination | None]], sentences: Sequence[Sentence]) -> dict[str, float]:
    """Returns the lines a second that `predict` labels with each side: the best of several turns."""
    best = dict.fromkeys(sides, 0.0)
    for _ in range(TURNS):
        for name, (members, combination) in sides.items():
            watch = Stopwatch()
            count = sum(1 for _ in predict(members, combination, sentences))
            best[name] = max(best[name], count / watch.seconds)
    return best
