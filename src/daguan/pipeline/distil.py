"""Teaches the blend to one small model, the student, to ship in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from daguan.core.files import read_json
from daguan.core.progress import say
from daguan.core.runs import Run, Stopwatch
from daguan.core.settings import require, to_dict
from daguan.core.types import Sentence, labels_of
from daguan.data.folds import Fold, read_fold, read_folds
from daguan.data.format import format_labelled, read_labelled, read_unlabelled, write_lines
from daguan.data.marginals import Marginals
from daguan.data.tags import TagScheme
from daguan.ensemble.blending import load_blend, load_held_out, load_member, load_text_index
from daguan.ensemble.combination import Combination
from daguan.ensemble.distillation import (
    BEST,
    STUDENT,
    TEACHER,
    Predictions,
    evaluated_once,
    megabytes,
    score_each,
    student_gains,
)
from daguan.ensemble.labelling import Members, load_members
from daguan.ensemble.pseudo_labels import (
    TeacherBlend,
    Teachers,
    corpus_sample,
    lines_to_label,
    require_corpus,
    write_pseudo_labels,
)
from daguan.families.jobs import HELD_OUT, MODEL, TEST, FoldJob
from daguan.pipeline.engines.local import run_jobs
from daguan.pipeline.predict import find_models, predict
from daguan.pipeline.pretrain import start
from daguan.pipeline.settings import Settings, require_weighed
from daguan.pipeline.stages import Stages, once
from daguan.training.devices import prepare_process, share_cores
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import annotate, decode_lines

ANSWER = "answer.txt"
LABELS, SCORED, SHIPPED = "labels", "scored", "shipped"  # folders of a run
SAMPLE_LINES, SAMPLE_TOKENS, TURNS = 500, 20_000, 3  # at most; labelled by each side, so many times, to see how fast


def make(settings: Settings) -> Run:
    """Train and measure the student of a finished blend; returns its run."""
    _check(settings)
    stages = Stages(settings)
    stages.blend.manifest()
    require_corpus(stages.contest.corpus, settings.distil.choice(), "distil")
    once(stages.distil, partial(distil, stages=stages))
    return stages.distil


def _check(settings: Settings) -> None:
    """Raises ConfigError: no such student, or one that cannot be trained by itself, or not on weighed lines."""
    student = settings.distil.student
    require("distil.student", student in settings.known, " or ".join(settings.known), student)
    made = settings.member(student)
    alone = made.family != "soup" and not made.needs
    require("distil.student", alone, "a member that needs no other's run", student)
    require_weighed("distil.weight", made.family, settings.distil.weight)


def distil(run: Run, stages: Stages) -> None:
    """Label lines, train both students, and write what became of them. A killed run continues where it was."""
    watch, lesson = Stopwatch(), Lesson(stages)
    if pretrain := stages.pretrain(stages.settings.distil.student):
        begin = partial(start, prepared=stages.prepare.path, settings=lesson.student)
        once(pretrain, begin, wait=True)
    prepare_process(share_cores(lesson.engine, 1)[1])
    labelled = label(run.path / LABELS, lesson)
    workers, threads = share_cores(lesson.engine, 2)
    jobs = student_jobs(run.path, stages, threads)
    run_jobs(jobs, workers)
    if not (run.path / MODEL).is_dir():
        (Path(jobs[1].folder) / MODEL).rename(run.path / MODEL)
    sides, gains = measure(run.path, lesson)
    run.finish(watch.seconds, sides=sides, gains=gains, labelled=labelled)


@dataclass(frozen=True)
class Lesson:
    """What both students are taught, and by whom."""

    stages: Stages

    @cached_property
    def student(self) -> Settings:
        """With the lines to learn from in place of a member's own choice."""
        settings = self.stages.settings
        made = settings.member(settings.distil.student)
        return made.replace(pseudo_labels=settings.distil.choice(), train=evaluated_once(made.train))

    @property
    def engine(self) -> EngineSettings:
        return self.stages.settings.engine

    @cached_property
    def train(self) -> list[Sentence]:
        return read_labelled(self.stages.train_file)

    @cached_property
    def test(self) -> list[Sentence]:
        return read_unlabelled(self.stages.contest.test)

    @cached_property
    def scheme(self) -> TagScheme:
        return TagScheme(labels_of(self.train))

    @property
    def fold(self) -> Fold:
        """The one on whose held-out lines a student is scored."""
        return read_fold(self.stages.prepare.path, 0)

    @cached_property
    def runs(self) -> list[Path]:
        return [member.path for member in self.stages.members]

    @cached_property
    def best(self) -> int:
        """The member with the highest span F1 over all folds."""
        found = self.stages.blend.manifest()["out_of_fold"]
        return max(range(len(self.runs)), key=lambda i: found[self.runs[i].name]["span"]["f1"])

    @cached_property
    def teachers(self) -> Teachers:
        """Of that fold, by the way of the blend."""
        asked, prepared = self.stages.settings, self.stages.prepare.path
        folds, text = read_folds(prepared), load_text_index(prepared)
        return Teachers.of(self.runs, self.train, folds, self.scheme, asked.blend.method, asked.seed, text)

    @cached_property
    def blend(self) -> TeacherBlend:
        models, combination = load_blend(self.stages.blend.path)
        count = self.stages.settings.folds.count
        return TeacherBlend(models, combination, [load_member(run, count).test for run in self.runs], "distil")


def label(folder: Path, lesson: Lesson) -> dict[str, Any]:
    """Write the lines of each student, where they are not written yet; how many there are of which source."""
    asked, count = lesson.student.pseudo_labels, lesson.student.folds.count
    if not all((folder / f"fold{fold}.json").is_file() for fold in (0, count)):
        known, seed = read_labelled(lesson.stages.gold_file), lesson.stages.settings.seed
        corpus = corpus_sample(lesson.stages.contest.corpus, asked, [*known, *lesson.test], seed, "distil")
        lines = lines_to_label(lesson.test, known) if asked.test else []
        write_pseudo_labels(
            folder, 0, lesson.teachers.blend(0).label(lesson.test, lines, corpus, lesson.engine), asked, lesson.train
        )
        write_pseudo_labels(
            folder, count, lesson.blend.label(lesson.test, lines, corpus, lesson.engine), asked, lesson.train
        )
    found = {name: read_json(folder / f"fold{fold}.json") for name, fold in ((SCORED, 0), (SHIPPED, count))}
    for name, sources in found.items():
        counts = [f"{of['kept']:,} of {of['offered']:,} {source} lines" for source, of in sources.items()]
        say(f"distil: {name} student: {', '.join(counts)} kept")
    return found


def student_jobs(folder: Path, stages: Stages, threads: int) -> list[FoldJob]:
    """To be scored on fold 0, and to be shipped: as a fold beyond the last, which holds nothing out."""
    student = stages.settings.distil.student
    settings = to_dict(Lesson(stages).student)
    job = replace(
        stages.fold_jobs(student, threads)[0], member=STUDENT, settings=settings, pseudo_labels=str(folder / LABELS)
    )
    beyond = stages.settings.folds.count
    return [
        replace(job, fold=0, folder=str(folder / SCORED)),
        replace(job, fold=beyond, folder=str(folder / SHIPPED)),
    ]


def measure(folder: Path, lesson: Lesson) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Each side's figures, and the student's gains on fold 0's held-out lines; writes the student's test lines."""
    gold = [lesson.train[line] for line in lesson.fold.held_out]
    held_out, test = held_out_answers(folder, lesson, gold), answers_to_test(folder, lesson)
    write_lines(folder / ANSWER, map(format_labelled, test[STUDENT]))
    names = {TEACHER: lesson.stages.blend.path.name, STUDENT: folder.name, BEST: lesson.runs[lesson.best].name}
    found = score_each(held_out, gold)
    sides: dict[str, dict[str, Any]] = {name: {"run": run, "held_out": found[name]} for name, run in names.items()}
    path = lesson.stages.contest.test_gold
    for name, score in (score_each(test, read_labelled(path)) if path.is_file() else {}).items():
        sides[name]["test"] = score
    models = {TEACHER: find_models(lesson.stages.blend.path), STUDENT: find_models(folder / MODEL)}
    loaded = {name: (load_members(paths, lesson.engine), way) for name, (paths, way) in models.items()}
    for name, rate in rates(loaded, sample(lesson.test), lesson.engine).items():
        paths = [path for of_member in models[name][0] for path in of_member]
        sides[name] |= {"models": len(paths), "megabytes": megabytes(paths), "lines_per_second": rate}
    return sides, student_gains(held_out, gold)


def held_out_answers(folder: Path, lesson: Lesson, gold: Sequence[Sentence]) -> Predictions:
    """To fold 0's held-out lines: the student's, those of a blend fitted to the other folds, and those of the member
    that is best over all folds."""
    fold = lesson.fold
    answers = [load_held_out(run, lesson.student.folds.count) for run in lesson.runs]
    of_fold = [[member[line] for line in fold.held_out] for member in answers]
    combination = lesson.teachers.combination(fold.index)
    student = Marginals.load(folder / SCORED / HELD_OUT).per_line()
    spans = {
        TEACHER: combination.spans(gold, of_fold),
        STUDENT: decode_lines(student, lesson.scheme),
        BEST: decode_lines(of_fold[lesson.best], lesson.scheme),
    }
    return {name: annotate(gold, found) for name, found in spans.items()}


def answers_to_test(folder: Path, lesson: Lesson) -> Predictions:
    """To the test lines, as `predict` gives them."""
    student = decode_lines(Marginals.load(folder / SHIPPED / TEST).per_line(), lesson.scheme)
    teacher = lesson.blend.combination.spans(lesson.test, lesson.blend.test)
    return {TEACHER: annotate(lesson.test, teacher), STUDENT: annotate(lesson.test, student)}


def sample(sentences: Sequence[Sentence]) -> Sequence[Sentence]:
    """At most SAMPLE_LINES of them, evenly taken, and of these no more than begin within SAMPLE_TOKENS."""
    some = sentences[:: -(-len(sentences) // SAMPLE_LINES)]
    ends = accumulate(len(sentence.tokens) for sentence in some)
    return [one for one, end in zip(some, ends, strict=True) if end - len(one.tokens) < SAMPLE_TOKENS]


def rates(
    sides: Mapping[str, tuple[Members, Combination | None]], sentences: Sequence[Sentence], engine: EngineSettings
) -> dict[str, float]:
    """Lines a second of `predict`, the sides by turns, the best turn of each."""
    best = dict.fromkeys(sides, 0.0)
    for _ in range(TURNS):
        for name, (members, combination) in sides.items():
            watch = Stopwatch()
            count = sum(1 for _ in predict(members, combination, sentences, engine))
            best[name] = max(best[name], count / watch.seconds)
    return best
