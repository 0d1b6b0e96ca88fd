"""Plays six contests by the one-hour preset, as a contestant does, and writes docs/contests.md.

    python -m benchmarks.contests [--minutes N] [--json] [CONTEST …]

The contests are the built-in one, its first 6,000 training lines and whole, and the data sets beside the project
(../shared/data); names on the command line select some of them. The n-gram CRF is the plain one: the templates of
data/ngram_templates.py, no other features, the penalties and iterations of the preset, trained on all training lines at
once. The best single member is the one with the best out-of-fold score. Scores are strict span F1, out of fold and on
the test part; a share of the CRF's errors that are gone is (F1 − CRF) / (100 − CRF) on the test part. Brackets hold
95 % intervals by a bootstrap over lines (data/bootstrap.py). Minutes are those that `score` prints. The last table has
the means over all contests but wnut17, none of whose test strings occurs in train. All runs are kept in
data/benchmarks, so a command that was cut short continues, and a finished contest takes seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import PEOPLE, SHARED, SLICE, WORK
from benchmarks.harness import ROOT, Report, Row, command, cores, machine, page, table
from benchmarks.ours import precision
from daguan.core.files import sha256_of_json
from daguan.core.settings import to_dict
from daguan.core.types import Score, Sentence, labels_of
from daguan.data.bootstrap import resampled_f1
from daguan.data.contest import Contest
from daguan.data.format import format_labelled, read_labelled, write_lines
from daguan.data.span_score import span_scores
from daguan.data.tags import TagScheme
from daguan.families import ngram_crf
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.prediction import annotate, decode_lines

PAGE, MINUTES = ROOT / "docs" / "contests.md", 60
PRESET = str(ROOT / "configs" / "cpu_1h.yaml")
USED = re.compile(r"([\d.]+) of [\d.]+ minutes")  # as `score` prints it
CONTESTS = {
    f"{PEOPLE}_6000": SLICE,
    PEOPLE: (),
    **{name: (f"data.dir={SHARED / name}",) for name in ("uner_zh", "klue_ko", "ncbi", "wnut17")},
}
NOT_IN_MEAN = ("wnut17",)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """F1 in percent.

    Attributes:
        out_of_fold: None for a model that was trained on all lines.
        test: on the test part.
        resampled: (R,) on resamples of the test part's lines, the same for everything that is scored there.
    """

    out_of_fold: float | None
    test: float
    resampled: Floats

    @classmethod
    def of(cls, out_of_fold: float | None, answer: Sequence[Sentence], gold: Sequence[Sentence]) -> Scored:
        scores = span_scores(answer, gold)
        return cls(out_of_fold, 100 * sum(scores, Score()).f1, 100 * resampled_f1(scores))

    def __str__(self) -> str:
        before = "" if self.out_of_fold is None else f"{self.out_of_fold:.2f} / "
        return f"{before}{self.test:.2f} ({interval(self.resampled)})"


@dataclass(frozen=True)
class Share:
    """The share of the n-gram CRF's errors that are gone, in percent, and (R,) on resamples of the lines."""

    value: float
    resampled: Floats

    @classmethod
    def of(cls, model: Scored, crf: Scored) -> Share:
        gone = 100 * (model.test - crf.test) / (100 - crf.test)
        return cls(gone, 100 * (model.resampled - crf.resampled) / (100 - crf.resampled))

    @classmethod
    def mean(cls, shares: Sequence[Share]) -> Share:
        """Returns the mean over contests, whose lines are drawn independently."""
        rng = np.random.default_rng(0)
        values = np.array([share.value for share in shares])
        return cls(float(values.mean()), np.mean([rng.permutation(share.resampled) for share in shares], 0))

    def __str__(self) -> str:
        return f"{self.value:.1f} ({interval(self.resampled)})"


@dataclass(frozen=True)
class Played:
    """A finished contest; `best` names the best single member."""

    name: str
    lines: int
    crf: Scored
    best: str
    single: Scored
    blend: Scored
    minutes: str

    @property
    def shares(self) -> tuple[Share, Share]:
        """Returns those of the best single member and of the blend."""
        return Share.of(self.single, self.crf), Share.of(self.blend, self.crf)

    def row(self) -> Row:
        single, blend = self.shares
        return {
            "contest": self.name,
            "lines": self.lines,
            "n-gram CRF, test": str(self.crf),
            "best single member, out of fold / test": f"{self.best} {self.single}",
            "blend, out of fold / test": str(self.blend),
            "% of errors gone: single": str(single),
            "blend": str(blend),
            "minutes": self.minutes,
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
    played = []
    for name in asked.names or CONTESTS:
        played.append(play(name, asked.minutes))
        report.add(played[-1].row())
    if counted := [contest for contest in played if contest.name not in NOT_IN_MEAN]:
        report.add(mean_row(counted))
    report.show(asked.json)
    if [contest.name for contest in played] == [*CONTESTS] and asked.minutes == MINUTES:
        tables = [table(report.rows[:-1]), table(report.rows[-1:])]
        PAGE.write_text(page("Contests", "contests", __doc__, report.machine, tables), encoding="utf-8")


def play(name: str, minutes: float) -> Played:
    """Plays a contest by the documented commands, then trains the plain n-gram CRF on all lines."""
    words = [PRESET, *CONTESTS[name], f"data.work={WORK}", f"data.submissions={WORK / 'submissions'}"]
    asked = [*words, f"budget.minutes={minutes:g}"]
    command("run", asked)
    found, told = json.loads(printed("score", [*asked, "--json"])), printed("score", asked)
    contest, out_of_fold = Stages(load(words)).contest, found["out_of_fold"]
    gold, final = read_labelled(contest.test_gold), found["final"]

    def scored(row: str) -> Scored:
        return Scored.of(100 * out_of_fold[row]["span"]["f1"], read_labelled(Path(found["model"], f"{row}.txt")), gold)

    best = max(
        (row for row in out_of_fold if row not in ("mean", "blend")), key=lambda row: out_of_fold[row]["span"]["f1"]
    )
    crf = Scored.of(None, read_labelled(plain_crf(words, contest)), gold)
    used = USED.search(told)
    minutes_used = used[0].removesuffix(" minutes") if used else "–"
    lines = len(read_labelled(contest.train))
    return Played(name, lines, crf, best.rpartition("-")[0], scored(best), scored(final), minutes_used)


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


def mean_row(played: Sequence[Played]) -> Row:
    singles, blends = zip(*(contest.shares for contest in played), strict=True)
    mean = Share.mean(blends)
    return {
        "mean over": ", ".join(contest.name for contest in played),
        "% of errors gone: single": str(Share.mean(singles)),
        "blend": str(mean),
        "least of a blend": f"{min(share.value for share in blends):.1f}",
    }


def interval(values: Floats) -> str:
    low, high = np.quantile(values, (0.025, 0.975))
    return f"{low:.1f} to {high:.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
