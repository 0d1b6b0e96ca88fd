"""Measures each step from the best single model to a shipped one, and writes docs/winning.md.

    python -m benchmarks.winning [--json] [--quick] [DATA …]

The commands that a user types run on two whole real data sets. The preset configs/cpu_1h.yaml plans and trains its
members in forty instead of sixty minutes, so that both sets take one sitting. Their answers are combined in several
ways. A student is trained on their pseudo-labels of test and corpus lines too and joins them. Finally one model, which
sees no test line, is taught by the blend with the student. Scores are strict span F1 with 95 % intervals: out of fold,
where a combination learnt on the other folds scores each fold, and on the test part. A gain is out of fold, with its
paired bootstrap interval and its p-value of one side, .0002 at the least (data/bootstrap.py). Core seconds are those of
training everything that a row needs, including pretraining and the labelling of lines for students. The shipped model
has read all lines, so its out-of-fold score is that of the same model taught without fold 0 by teachers without fold 0,
and its gains are on the lines of that fold. Runs are stored in data/benchmarks and not done again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import data
from benchmarks.data import UNER
from benchmarks.families import Contest, gain, sum_of
from benchmarks.harness import ROOT, Report, Row, command, cores, machine, options, page, table, wrapped
from benchmarks.ours import precision
from daguan.core.files import read_json
from daguan.core.types import Score
from daguan.data.bootstrap import bootstrap_interval
from daguan.data.folds import read_fold
from daguan.data.marginals import Marginals
from daguan.data.span_score import span_scores
from daguan.ensemble import distillation
from daguan.ensemble.blending import MemberResults, load_member
from daguan.ensemble.pseudo_labels import SOURCES
from daguan.families.fold import HELD_OUT, RESULT
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline import distil
from daguan.pipeline.budget import plan as budget
from daguan.pipeline.settings import Settings, load
from daguan.pipeline.stages import Stages
from daguan.training.prediction import annotate, decode_lines

PAGE = ROOT / "docs" / "winning.md"
STUDENT = "student"
MINUTES = 40
CHOICE = {"corpus_lines": 5000, "confidence": 0.8, "weight": 0.5}
SHIPPED = ("distil.test=false", "distil.corpus_lines=10000")  # the shipped model has not seen the test lines
RUNG = "{members: [modern_crf, ngram_crf], folds: {count: 2}, train: {epochs: 1}, pretrain: {tokens: 20000}}"
QUICK = (
    *data.QUICK_SLICE,
    f"budget.rungs=[{RUNG}]",
    "budget.passes=0.02",
    "encoder.layers=1",
    "model.ngram_buckets=1024",
)
METHODS = ("mean", "weights", "stack")
BASELINE = "ngram_crf"


@dataclass(frozen=True)
class Played:
    """A data set with everything that was trained on it.

    Attributes:
        planned: the stages of the plan.
        taught: the stages of the plan with the student.
        minutes: the used part of the budget, as `score` prints it.
        distilled: the result of `distil`.
    """

    name: str
    planned: Stages
    taught: Stages
    minutes: str
    distilled: dict[str, Any]

    @property
    def contest(self) -> Contest:
        return Contest.of(self.planned)

    def members(self, stages: Stages) -> list[MemberResults]:
        return [load_member(run.path, stages.settings.folds.count) for run in stages.members]


def main(words: list[str]) -> None:
    known = data.names()
    names = [word for word in words if word in known] or known
    asked = options([word for word in words if word not in known], __doc__)
    report = Report("winning", machine(cores(), precision()))
    pages = []
    for name in names:
        played = play(name, asked.quick)
        steps, shipped = steps_of(played), shipped_of(played)
        for row in (*steps, *shipped):
            report.add({"data": name} | row)
        pages.append(f"## {name}\n\n{about(played)}\n\n{table(steps)}\n\n{table(shipped)}")
    report.show(asked.json)
    if names == known and not asked.quick:
        PAGE.write_text(page("Winning", "winning", __doc__, report.machine, pages), encoding="utf-8")


def play(name: str, quick: bool) -> Played:
    """Plan, train and blend; then train the student and distil, by the preset that the plan wrote."""
    words = words_of(name, quick)
    for stage in ("prepare", "pretrain", "train", "blend"):
        command(stage, words)
    followed = Stages(budget.load(words))
    minutes = budget.used(words, followed.blend.path)
    run = budget.run_of_plan(load(words))
    assert run is not None
    preset, left = str(run.path / budget.PRESET), followed.settings.members
    planned = load([preset, f"members=[{', '.join(left)}]"])  # without the members that the budget dropped
    with_student = [preset, *student_of(planned), *SHIPPED]
    for stage in ("pretrain", "train", "blend", "distil"):
        command(stage, with_student)
    taught = Stages(load(with_student))
    return Played(name, Stages(planned), taught, minutes, taught.distil.manifest())


def words_of(name: str, quick: bool) -> list[str]:
    here = [f"data.dir={UNER}"] if name == UNER.name else []
    asked = (f"data.work={data.WORK}", f"budget.minutes={MINUTES}", *here, *(QUICK if quick else ()))
    return [str(ROOT / "configs" / "cpu_1h.yaml"), *asked]


def student_of(settings: Settings) -> list[str]:
    """Returns the arguments by which a student of all members joins them, and the distilled model is made."""
    choice = ", ".join(f"{key}: {value}" for key, value in CHOICE.items())
    teachers = ", ".join(settings.members)
    return [
        f"members=[{teachers}, {STUDENT}]",
        f"ensemble.{STUDENT}.pseudo_labels={{teachers: [{teachers}], {choice}}}",
        "distil.student=modern_crf",
    ]


def steps_of(played: Played) -> list[Row]:
    """Returns the baseline, the best member, all members by each method, with the student by the last method, the
    distilled model, and the student alone."""
    contest, members = played.contest, played.members(played.planned)
    spent = costs(played.planned)
    alone = {member.name: (*contest.scored([member]), spent[member.name]) for member in members}
    best = max(alone, key=lambda name: sum_of(alone[name][0]).f1)
    rows = [
        Step(name.rpartition("-")[0], *found)
        for name, found in alone.items()
        if name.startswith(f"{BASELINE}-") and name != best
    ]
    single = Step(f"best single model: {best.rpartition('-')[0]}", *alone[best])
    rows.append(single)
    rows += [Step(f"all, {way}", *contest.scored(members, way), sum(spent.values())) for way in METHODS]
    with_student, all_spent = played.members(played.taught), costs(played.taught)
    name = played.taught.train(STUDENT).path.name
    (student,) = (member for member in with_student if member.name == name)
    costly = sum(all_spent.values())
    teacher = Step(f"all with {STUDENT}, {METHODS[-1]}", *contest.scored(with_student, METHODS[-1]), costly)
    cells = [row.cells(single, before) for row, before in zip([*rows, teacher], [None, *rows], strict=True)]
    last = Step(f"{STUDENT} alone", *contest.scored([student]), costly).cells(single, None)
    return [*cells, distilled(played, contest, single, teacher), last]


@dataclass(frozen=True)
class Step:
    """A row: scores line by line, out of fold and on the test part, and core seconds of training."""

    name: str
    out_of_fold: Sequence[Score]
    test: Sequence[Score]
    seconds: float

    def cells(self, single: Step, before: Step | None) -> Row:
        return {
            "": self.name,
            "out of fold": f1(self.out_of_fold),
            "test": f1(self.test),
            "gain over the best single model": "–" if self is single else gain(self.out_of_fold, single.out_of_fold),
            "over the row above": gain(self.out_of_fold, before.out_of_fold) if before else "–",
            "core seconds": round(self.seconds),
        }


def distilled(played: Played, contest: Contest, single: Step, teacher: Step) -> Row:
    """Returns the row of the distilled model.

    Out of fold it is the model trained without fold 0, compared with the others on that fold's lines; the test score
    and the seconds are those of the model to ship.
    """
    folder = played.taught.distil.path
    held_out = read_fold(played.taught.prepare.path, 0).held_out
    gold = [contest.train[line] for line in held_out]
    answers = decode_lines(Marginals.load(folder / distil.SCORED / HELD_OUT).per_line(), contest.scheme)
    scores = span_scores(annotate(gold, answers), gold)
    test, shipped = played.distilled["sides"][distillation.STUDENT]["test"], read_json(folder / distil.SHIPPED / RESULT)
    return {
        "": "distilled into one model (out of fold: fold 0)",
        "out of fold": f1(scores),
        "test": with_interval(test["f1"], test["interval"]),
        "gain over the best single model": gain(scores, [single.out_of_fold[line] for line in held_out]),
        "over the row above": gain(scores, [teacher.out_of_fold[line] for line in held_out]),
        "core seconds": round(teacher.seconds + shipped["seconds"]),
    }


def costs(stages: Stages) -> dict[str, float]:
    """Returns the core seconds of training each blended run, by its name.

    They include its share of the run that it starts from and the labelling of lines by its teachers, but neither
    blending nor labelling the test part.
    """
    by_run = {stages.train(member).path.name: member for member in stages.settings.members}
    starts = {member: stages.pretrain(member) for member in by_run.values()}
    found = {}
    for run in stages.members:
        member = by_run[run.path.name]
        seconds = run.manifest()["seconds"]
        if start := starts[member]:
            sharing = sum(other is not None and other.key == start.key for other in starts.values())
            at_once = cores() if ENCODERS[stages.settings.member(member).model.encoder].pretrained else 1
            seconds += start.manifest()["seconds"] * at_once / sharing
        if pseudo := stages.pseudo_labels(member):
            seconds += pseudo.manifest()["seconds"] * cores()
        found[run.path.name] = seconds
    return found


def shipped_of(played: Played) -> list[Row]:
    """Returns the whole blend with the student, and the model that it taught, as `predict` takes them."""
    names = {distillation.TEACHER: "all with student, stack", distillation.STUDENT: "distilled into one model"}
    return [
        {
            "to ship": names[name],
            "test": with_interval(side["test"]["f1"], side["test"]["interval"]),
            "lines/s": f"{side['lines_per_second']:,.0f}",
            "models": side["models"],
            "MB": f"{side['megabytes']:,.0f}",
        }
        for name, side in played.distilled["sides"].items()
        if name in names
    ]


def about(played: Played) -> str:
    settings, lines = played.planned.settings, played.planned.scored_lines
    epochs = sorted({settings.member(name).train.epochs for name in settings.members})
    pseudo = played.taught.pseudo_labels(STUDENT)
    assert pseudo is not None
    return wrapped(
        f"Planned for {lines:,} training lines: {', '.join(settings.members)}; {settings.folds.count} folds, "
        f"{' or '.join(map(str, epochs))} epochs, {settings.pretrain.tokens:,} tokens of pretraining; "
        f"{played.minutes.removeprefix('budget: ')}. The student's folds were taught on "
        f"{kept_of(pseudo.manifest()['by_fold'])} beside their gold lines, the distilled model on "
        f"{kept_of([played.distilled['labelled'][distil.SHIPPED]])}."
    )


def kept_of(folds: Sequence[dict[str, dict[str, int]]]) -> str:
    """Returns the number of selected lines of each source that has lines."""
    parts = []
    for source in SOURCES:
        if offered := folds[0][source]["offered"]:
            counts = sorted({fold[source]["kept"] for fold in folds})
            kept = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
            parts.append(f"{kept} of {offered:,} {source} lines")
    return " and ".join(parts)


def f1(scores: Sequence[Score]) -> str:
    return with_interval(sum_of(scores).f1, bootstrap_interval(scores))


def with_interval(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{100 * value:.2f} ({100 * low:.1f}–{100 * high:.1f})"


if __name__ == "__main__":
    main(sys.argv[1:])
