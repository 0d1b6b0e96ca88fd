"""Plays contests by the one-hour preset, teaches each blend to a student, and exports that.

    python -m benchmarks.student [--minutes N] [--more key=value] [--json] [--quick] [CONTEST …]

CONTEST is `uner_zh`, `people_daily` (its first 6,000 training lines) or another of benchmarks/contests.py; none: these
two. A blend that `benchmarks.contests` has played with the same words is not trained again. Two kinds of students learn
from it: from its best labels, and from labels that are drawn from its probabilities, on all lines. A student is one
small tagger, the blend's best n-gram CRF trained on all lines, and a judge that chooses among the spans that one of
these proposes. The row below it is of its tagger alone, which is faster. None is taught on test lines, so that test
scores are of lines unknown to it. `--more` adds a setting, such as distil.length=8.

Scores are strict span F1 with 95 % bootstrap intervals over lines. Out of fold they are on the lines that fold 0 holds
out. The student that is scored there learns from the gold lines of the other folds, and from corpus lines that fold 0's
models have labelled, by a blend fitted to the other folds: no model that teaches it has read the gold labels of these
lines, nor has fold 0's n-gram CRF, which is its own there. (The few numbers of that blend and of the judge are fitted
to answers of other folds' models, which have.) Test scores and sizes are those of the student to ship, which learns
from all lines. Lines a second are by `predict` in the precision of the run, the best of three turns. The second table
has the exported forms of the student that is best out of fold, in float32 with one thread.

Minutes on two quiet cores, by estimate: `run` takes at most N; a kind of student at most distil.length times as long as
two folds of its member, a fold of the n-gram CRF, and the labelling of its lines. With an hour's blend that is about 10
on uner_zh, which has only 500 further lines, and 30 on people_daily; the exported forms take 4. All of it: three and a
half hours. What is finished is not done again, so the same command continues.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contests import CONTESTS, MINUTES, PRESET, printed
from benchmarks.data import PEOPLE, QUICK_SLICE, SLICE, WORK
from benchmarks.export import measured
from benchmarks.harness import ROOT, Aim, Report, Row, command, cores, machine
from benchmarks.ours import precision
from daguan.ensemble.distillation import ALONE, BEST, STUDENT, TEACHER
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages

BOTH = ("uner_zh", PEOPLE)
OWN = ("distil.test=false",)
STUDENTS = {
    "best labels": (),
    "drawn labels": ("distil.draws=8", "distil.confidence=0"),
}
QUICK = ("members=tagger,ngram_crf", "folds.lines=300", "distil.corpus_lines=200")
LOSS, TIMES = 1.0, 10  # points of F1 that a student may lose to its blend, and how many times as fast it is to be
OVER = "student over blend, out of fold"
BLENDS = {"uner_zh": 34, PEOPLE: 61}  # lines/s of the blends at 555d3bc, which the issue names


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="CONTEST", nargs="*", help=f"of {', '.join(CONTESTS)}; none: {BOTH}")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="budget.minutes of each blend")
    parser.add_argument("--more", action="append", default=[], metavar="key=value", help="a further setting")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all rows on the last line")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes, as a smoke test; figures mean little")
    asked = parser.parse_args(words)
    report = Report("student", machine(cores(), precision()))
    for name in asked.names or BOTH:
        given = [*contest_words(name, asked.minutes, asked.quick), *asked.more]
        command("run", given)
        found = {kind: taught([*given, *OWN, *more]) for kind, more in STUDENTS.items()}
        for row in rows(name, found):
            report.add(row)
        best = max(found, key=lambda kind: found[kind]["sides"][STUDENT]["held_out"]["f1"])
        report.aims += aims(name, found[best])
        for row in measured(Path(found[best]["model"]), Stages(load(given)).contest, asked.quick):
            report.add({"contest": name, "student": best, **row})
    report.show(asked.json)


def contest_words(name: str, minutes: float, quick: bool) -> list[str]:
    """Returns the command line of a contest; without a budget, and tiny, for a smoke test."""
    places = [f"data.work={WORK}", f"data.submissions={WORK / 'submissions'}"]
    sizes = {PEOPLE: QUICK_SLICE if quick else SLICE}.get(name, CONTESTS[name])
    if quick:
        return [str(ROOT / "configs" / "smoke.yaml"), *sizes, *places, *QUICK]
    return [PRESET, *sizes, *places, f"budget.minutes={minutes:g}"]


def taught(words: Sequence[str]) -> dict[str, Any]:
    """Returns what `distil` says of its student, which is trained unless it is there."""
    found: dict[str, Any] = json.loads(printed("distil", [*words, "--json"]).splitlines()[-1])
    return found


def rows(contest: str, found: dict[str, dict[str, Any]]) -> Iterator[Row]:
    """Gives the rows of the blend, of its best member, and of each kind of student and its model alone."""
    sides = next(iter(found.values()))["sides"]
    member = sides[BEST]["run"].rpartition("-")[0]
    yield {"contest": contest, "side": "blend", **figures(sides[TEACHER]), OVER: ""}
    yield {"contest": contest, "side": f"best member: {member}", **figures(sides[BEST]), OVER: ""}
    for kind, one in found.items():
        gain = percent(one["gains"][TEACHER], "+.2f")
        yield {"contest": contest, "side": f"student of {kind}", **figures(one["sides"][STUDENT]), OVER: gain}
        yield {"contest": contest, "side": "its model alone", **figures(one["sides"][ALONE]), OVER: ""}


def figures(side: dict[str, Any]) -> Row:
    """Returns the columns of one side: span F1, speed and size."""
    return {
        "out of fold": percent(side["held_out"]),
        "test": percent(side["test"]),
        "lines/s": side["lines_per_second"],
        "MB": side["megabytes"],
    }


def percent(score: dict[str, Any], form: str = ".2f") -> str:
    """Returns a score with its interval."""
    value, low, high = (f"{100 * number:{form}}" for number in (score["f1"], *score["interval"]))
    return f"{value} ({low} to {high})"


def aims(contest: str, found: dict[str, Any]) -> list[Aim]:
    """Returns what the better student was to reach."""
    gain, speed = 100 * found["gains"][TEACHER]["f1"], found["sides"][STUDENT]["lines_per_second"]
    reached = [Aim.at_least(f"{contest}: student over blend, out of fold", -LOSS, gain, " points")]
    if contest in BLENDS:
        reached.append(Aim.at_least(f"{contest}: student", TIMES * BLENDS[contest], speed, " lines/s"))
    return reached


if __name__ == "__main__":
    main(sys.argv[1:])
