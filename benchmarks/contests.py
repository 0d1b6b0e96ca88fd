"""Plays six contests by the one-hour preset, as a contestant does, and writes docs/contests.md.

    python -m benchmarks.contests [--minutes N] [--json] [CONTEST …]

The contests are the built-in one, its first 6,000 training lines and whole, and the data sets beside the project
(../shared/data); names on the command line select some of them. The n-gram CRF is the plain one: the templates of
data/ngram_templates.py, no other features, the penalties and iterations of the preset, trained on all training lines at
once. The best single member is the one with the best out-of-fold score. Scores are strict span F1, out of fold and on
the test part; a share of the CRF's errors that are gone is (F1 − CRF) / (100 − CRF) on the test part. Brackets hold
95 % intervals by a bootstrap over lines (data/bootstrap.py). Minutes are those that `score` prints. The last table has
the means over all contests but wnut17, none of whose test strings occurs in train; as contests are independent, the
squares of their intervals' half-widths are added.

A finished contest is a line of benchmarks/contests.jsonl and is not played again: delete the line to play it again. A
contest that was cut short continues from its runs in data/benchmarks. docs/contests.md is made from the lines.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import PEOPLE, SHARED, SLICE, WORK
from benchmarks.harness import ROOT, Report, Row, command, cores, machine, page, table
from benchmarks.ours import precision
from daguan.core.files import sha256_of_json
from daguan.core.runs import commit
from daguan.core.settings import to_dict
from daguan.core.types import Score, Sentence, labels_of
from daguan.data.bootstrap import resampled_f1
from daguan.data.contest import Contest
from daguan.data.decoding import decode_lines
from daguan.data.format import format_labelled, read_labelled, write_lines
from daguan.data.span_score import span_scores
from daguan.data.tags import TagScheme
from daguan.families import ngram_crf
from daguan.pipeline.budget.plan import played
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.prediction import annotate

PAGE, RECORDS = ROOT / "docs" / "contests.md", ROOT / "benchmarks" / "contests.jsonl"
MINUTES = 60.0
PRESET = str(ROOT / "configs" / "cpu_1h.yaml")
CONTESTS = {
    f"{PEOPLE}_6000": SLICE,
    PEOPLE: (),
    **{name: (f"data.dir={SHARED / name}",) for name in ("uner_zh", "klue_ko", "ncbi", "wnut17")},
}
NOT_IN_MEAN = ("wnut17",)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value in percent, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: Floats) -> Estimate:
        """Returns the estimate whose values on resamples of the lines are given, rounded as it is stored."""
        low, high = np.quantile(resampled, (0.025, 0.975))
        return cls(round(value, 2), round(float(low), 2), round(float(high), 2))

    @classmethod
    def mean(cls, estimates: Sequence[Estimate]) -> Estimate:
        """Returns the mean of independent estimates."""
        values = [estimate.value for estimate in estimates]
        below = math.hypot(*(estimate.value - estimate.low for estimate in estimates))
        above = math.hypot(*(estimate.high - estimate.value for estimate in estimates))
        mean, count = sum(values) / len(values), len(values)
        return cls(mean, mean - below / count, mean + above / count)

    def __str__(self) -> str:
        return f"{self.value:.1f} ({self.low:.1f} to {self.high:.1f})"


@dataclass(frozen=True)
class Answer:
    """The span F1 of the test lines that a model labelled, in percent, and (R,) on resamples of the lines."""

    f1: float
    resampled: Floats

    @classmethod
    def of(cls, answer: Sequence[Sentence], gold: Sequence[Sentence]) -> Answer:
        scores = span_scores(answer, gold)
        return cls(100 * sum(scores, Score()).f1, 100 * resampled_f1(scores))

    @property
    def estimate(self) -> Estimate:
        return Estimate.of(self.f1, self.resampled)

    def gone(self, crf: Answer) -> Estimate:
        """Returns the share of the n-gram CRF's errors that are gone."""
        resampled = (self.resampled - crf.resampled) / (100 - crf.resampled)
        return Estimate.of(100 * (self.f1 - crf.f1) / (100 - crf.f1), 100 * resampled)


@dataclass(frozen=True)
class Record:
    """A line of RECORDS: a finished contest.

    Attributes:
        minutes: budget.minutes.
        used: the minutes used, of those allowed.
        load: processes that wanted to run, over 15 minutes, before the contest and after it.
        lines: labelled lines.
        crf: the n-gram CRF on the test part.
        best: the single member with the best out-of-fold score.
        single, blend: scores on the test part; *_out_of_fold: out of fold; *_gone: shares of the n-gram CRF's errors.
        code: the commit.
        cpu: the machine.
    """

    contest: str
    minutes: float
    used: str
    load: str
    lines: int
    crf: Estimate
    best: str
    single_out_of_fold: float
    single: Estimate
    single_gone: Estimate
    blend_out_of_fold: float
    blend: Estimate
    blend_gone: Estimate
    code: str
    cpu: str

    @classmethod
    def from_json(cls, line: str) -> Record:
        values = json.loads(line)
        return cls(**{name: Estimate(**v) if isinstance(v, dict) else v for name, v in values.items()})

    def row(self) -> Row:
        return {
            "contest": self.contest,
            "lines": self.lines,
            "n-gram CRF, test": str(self.crf),
            "best single member, out of fold / test": f"{self.best} {self.single_out_of_fold:.1f} / {self.single}",
            "blend, out of fold / test": f"{self.blend_out_of_fold:.1f} / {self.blend}",
            "% of errors gone: single": str(self.single_gone),
            "blend": str(self.blend_gone),
            "minutes": self.used,
            "load": self.load,
            "commit": self.code,
        }


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="CONTEST", nargs="*", help=f"of {', '.join(CONTESTS)}; none: all")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="budget.minutes of each contest")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all rows on the last line")
    asked = parser.parse_args(words)
    if unknown := [name for name in asked.names if name not in CONTESTS]:
        parser.error(f"expected contests of {', '.join(CONTESTS)}, got {', '.join(unknown)}")
    report = Report("contests", machine(cores(), precision()))
    for name in asked.names or CONTESTS:
        if not (of := [record for record in recorded(asked.minutes) if record.contest == name]):
            of = [play(name, asked.minutes)]
            with RECORDS.open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(asdict(of[0]), ensure_ascii=False) + "\n")
        report.add(of[0].row())
    if counted := counted_in_mean(recorded(asked.minutes)):
        report.add(mean_row(counted))
    report.show(asked.json)
    write_page(recorded(MINUTES), report.machine)


def recorded(minutes: float) -> list[Record]:
    """Returns the stored contests of that budget, ordered as CONTESTS is."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.is_file() else []
    records = {record.contest: record for record in map(Record.from_json, lines) if record.minutes == minutes}
    return [records[name] for name in CONTESTS if name in records]


def write_page(records: Sequence[Record], about: Mapping[str, Any]) -> None:
    """Writes docs/contests.md, unless there is no record."""
    if records:
        counted = counted_in_mean(records)
        tables = [table([record.row() for record in records]), *([table([mean_row(counted)])] if counted else [])]
        PAGE.write_text(page("Contests", "contests", __doc__, about, tables), encoding="utf-8")


def play(name: str, minutes: float) -> Record:
    """Plays a contest by the documented commands, then trains the plain n-gram CRF on all lines."""
    words = [PRESET, *CONTESTS[name], f"data.work={WORK}", f"data.submissions={WORK / 'submissions'}"]
    asked = [*words, f"budget.minutes={minutes:g}"]
    before = os.getloadavg()[2]
    command("run", asked)
    after = os.getloadavg()[2]
    found, hour = json.loads(printed("score", [*asked, "--json"])), played(asked)
    contest, out_of_fold = Stages(load(words)).contest, found["out_of_fold"]
    gold, final = read_labelled(contest.test_gold), found["final"]
    f1 = {row: 100 * scores["span"]["f1"] for row, scores in out_of_fold.items()}
    best = max((row for row in f1 if row not in ("mean", "blend")), key=lambda row: f1[row])
    single, blend = (Answer.of(read_labelled(Path(found["model"], f"{row}.txt")), gold) for row in (best, final))
    crf = Answer.of(read_labelled(plain_crf(words, contest)), gold)
    assert hour is not None
    return Record(
        contest=name,
        minutes=minutes,
        used=f"{hour.seconds / 60:.1f} of {hour.minutes:g}",
        load=f"{before:.1f} to {after:.1f}",
        lines=len(read_labelled(contest.train)),
        crf=crf.estimate,
        best=best.rpartition("-")[0],
        single_out_of_fold=round(f1[best], 2),
        single=single.estimate,
        single_gone=single.gone(crf),
        blend_out_of_fold=round(f1[final], 2),
        blend=blend.estimate,
        blend_gone=blend.gone(crf),
        code=commit(),
        cpu=machine(cores())["cpu"],
    )


def printed(name: str, words: Sequence[str]) -> str:
    """Returns what a command prints."""
    with redirect_stdout(io.StringIO()) as out:
        command(name, words)
    return out.getvalue()


def plain_crf(words: list[str], contest: Contest) -> Path:
    """Returns the test lines as labelled by the n-gram CRF of all training lines, which is trained unless it is."""
    settings = load(words).ngram_crf.replace(text_features=False)
    key = sha256_of_json({"data": contest.sha256(), "settings": to_dict(settings)})[:12]
    folder = WORK / "contests" / f"ngram_crf-{key}"
    answer = folder / "test.txt"
    if not answer.is_file():
        train, test = contest.read()
        scheme = TagScheme(labels_of(train))
        ngram_crf.train(train, scheme, settings, folder)
        model = ngram_crf.NgramCrf(folder)
        spans = decode_lines(model.marginals(test), scheme)
        write_lines(answer, map(format_labelled, annotate(test, spans)))
    return answer


def counted_in_mean(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.contest not in NOT_IN_MEAN]


def mean_row(records: Sequence[Record]) -> Row:
    return {
        "mean over": ", ".join(record.contest for record in records),
        "% of errors gone: single": str(Estimate.mean([record.single_gone for record in records])),
        "blend": str(Estimate.mean([record.blend_gone for record in records])),
        "least of a blend": f"{min(record.blend_gone.value for record in records):.1f}",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
