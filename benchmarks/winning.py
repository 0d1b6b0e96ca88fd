"""What each step from the best single model to a shipped one is worth: docs/winning.md.

    python -m benchmarks.winning [--json] [--quick] [DATA …]

On two real data sets, whole, by the commands that a user types. The preset configs/cpu_1h.yaml, given forty of its
sixty minutes so that both sets take one sitting, plans them and trains its members; their answers are combined in
several ways; a student of theirs, trained on their pseudo-labels of test and corpus lines too, joins them; and the
blend with it is taught to one model, which sees no test line. Scores are strict span F1 with 95 % intervals: out of
fold, each fold by what the others taught, and of the test part. A gain is out of fold, with its paired bootstrap
interval and p-value of one side (text/scores.py). Core seconds are those of all the models in a row. The student that
is shipped is judged on fold 0's held-out lines beside its teacher's answers to the same. Runs are kept in
data/benchmarks and not done again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import data
from benchmarks.efficiency import PEOPLE, UNER
from benchmarks.families import Contest, gain, sum_of, text_of
from benchmarks.harness import ROOT, Report, Row, cores, machine, options, page, table
from benchmarks.ours import precision
from daguan.answers.blending import Member, load_member
from daguan.commands import blend, budget, distil, prepare, pretrain, train
from daguan.commands.settings import Settings, load
from daguan.commands.stages import Stages
from daguan.core.types import Score
from daguan.text.scores import Gain, bootstrap_interval

PAGE = ROOT / "docs" / "winning.md"
STUDENT = "student"
MINUTES = 40
CHOICE = {"corpus_lines": 5000, "confidence": 0.8, "weight": 0.5}
SHIPPED = ("distil.test=false", "distil.corpus_lines=10000")  # its test lines are new to what is shipped
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
    """A data set with all that was trained on it: the stages of the plan, and of the plan with the student. minutes: of
    the budget, what is to be said. told: by `distil`."""

    name: str
    planned: Stages
    taught: Stages
    minutes: str
    told: dict[str, Any]

    @property
    def contest(self) -> Contest:
        return Contest.of(self.planned)

    def members(self, stages: Stages) -> list[Member]:
        return [load_member(run.path, stages.settings.folds.count) for run in stages.members]


def main(words: list[str]) -> None:
    known = [PEOPLE, *([UNER.name] if UNER.is_dir() else [])]
    names = [word for word in words if word in known] or known
    asked = options([word for word in words if word not in known], __doc__)
    report = Report("winning", machine(cores(), precision()))
    pages = []
    for name in names:
        played = play(name, asked.quick)
        steps, shipped = steps_of(played), shipped_of(played)
        for row in (*steps, *shipped):
            report.add({"data": name} | row)
        pages.append(f"## {name}\n\n{about(played)}\n\n{table(steps)}\n\n{table(shipped)}\n\n{gains_of(played)}")
    report.show(asked.json)
    if not asked.quick:
        PAGE.write_text(page("Winning", "winning", __doc__, report.machine, pages), encoding="utf-8")


def play(name: str, quick: bool) -> Played:
    """Plan, train and blend; then the student and all that follows it, by the preset that the plan wrote."""
    words = words_of(name, quick)
    for command in (prepare, pretrain, train, blend):
        command.main(words)
    followed = Stages(budget.load(words))
    minutes = budget.used(words, followed.blend.path)
    run = budget.run_of_plan(load(words))
    assert run is not None
    preset, left = str(run.path / budget.PRESET), followed.settings.members
    planned = load([preset, f"members=[{', '.join(left)}]"])  # without those that were dropped, which it names
    with_student = [preset, *student_of(planned), *SHIPPED]
    for command in (pretrain, train, blend, distil):
        command.main(with_student)
    taught = Stages(load(with_student))
    return Played(name, Stages(planned), taught, minutes, taught.distil.manifest())


def words_of(name: str, quick: bool) -> list[str]:
    here = [f"data.dir={UNER}"] if name == UNER.name else []
    asked = (f"data.work={data.WORK}", f"budget.minutes={MINUTES}", *here, *(QUICK if quick else ()))
    return [str(ROOT / "configs" / "cpu_1h.yaml"), *asked]


def student_of(settings: Settings) -> list[str]:
    """The words by which a student of all members joins them, and is what is shipped."""
    choice = ", ".join(f"{key}: {value}" for key, value in CHOICE.items())
    teachers = ", ".join(settings.members)
    return [
        f"members=[{teachers}, {STUDENT}]",
        f"ensemble.{STUDENT}.pseudo_labels={{teachers: [{teachers}], {choice}}}",
        "distil.student=modern_crf",
    ]


def steps_of(played: Played) -> list[Row]:
    """The baseline, the best member, all of them by each way, and by the last with the student."""
    contest, members = played.contest, played.members(played.planned)
    seconds = dict(zip((member.name for member in members), costs(played.planned), strict=True))
    alone = {member.name.rpartition("-")[0]: (*contest.scored([member]), seconds[member.name]) for member in members}
    best = max(alone, key=lambda name: sum_of(alone[name][0]).f1)
    rows = [(BASELINE, *alone[BASELINE])] if BASELINE in alone else []
    single = f"best single model: {best}"
    rows.append((single, *alone[best]))
    rows += [(f"all, {method}", *contest.scored(members, method), sum(seconds.values())) for method in METHODS]
    with_student = contest.scored(played.members(played.taught), METHODS[-1])
    rows.append((f"with {STUDENT}, {METHODS[-1]}", *with_student, sum(costs(played.taught))))
    return [
        {
            "": name,
            "out of fold": f1(out_of_fold),
            "test": f1(test),
            "gain over the best single model": "–" if name == single else gain(out_of_fold, alone[best][0]),
            "over the row above": gain(out_of_fold, rows[number - 1][1]) if number else "–",
            "core seconds": round(spent),
        }
        for number, (name, out_of_fold, test, spent) in enumerate(rows)
    ]


def costs(stages: Stages) -> list[float]:
    """Core seconds of each run that is blended, its pretraining shared among those that start from it."""
    by_member = {stages.train(member).path.name: member for member in stages.settings.members}
    starts = {member: stages.pretrain(member) for member in by_member.values()}
    found = []
    for run in stages.members:
        start = starts[by_member[run.path.name]]
        sharing = sum(other is not None and start is not None and other.key == start.key for other in starts.values())
        begun = start.manifest()["seconds"] * cores() / sharing if start else 0.0
        found.append(run.manifest()["seconds"] + begun)
    return found


def shipped_of(played: Played) -> list[Row]:
    """The blend with the student, and the model that it was taught to."""
    return [
        {
            "fold 0": name,
            "held-out F1": with_interval(side["held_out"]["f1"], side["held_out"]["interval"]),
            "test": f"{100 * side['test']['f1']:.2f}" if "test" in side else "–",
            "lines/s": f"{side['lines_per_second']:,.0f}" if "lines_per_second" in side else "–",
            "models": side.get("models", "–"),
            "MB": f"{side['megabytes']:,.0f}" if "megabytes" in side else "–",
        }
        for name, side in played.told["sides"].items()
    ]


def gains_of(played: Played) -> str:
    gains = {name: Gain(of["f1"], of["interval"], of["p"]) for name, of in played.told["gains"].items()}
    return " ".join(f"Student over {name}: {text_of(found)}." for name, found in gains.items())


def about(played: Played) -> str:
    settings, lines = played.planned.settings, played.planned.scored_lines
    return (
        f"Planned for {lines:,} training lines: {', '.join(settings.members)}; {settings.folds.count} folds, "
        f"{settings.train.epochs} epochs, {settings.pretrain.tokens:,} tokens of pretraining; "
        f"{played.minutes.removeprefix('budget: ')}."
    )


def f1(scores: Sequence[Score]) -> str:
    return with_interval(sum_of(scores).f1, bootstrap_interval(scores))


def with_interval(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{100 * value:.2f} ({100 * low:.1f}–{100 * high:.1f})"


if __name__ == "__main__":
    main(sys.argv[1:])
