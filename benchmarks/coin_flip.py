"""Compares out-of-fold scores with test scores on contests whose labels are coin flips, so that nothing can be known.

    python -m benchmarks.coin_flip [--json] [--quick]

Each token is an entity of type a or b by a coin of its own, and tokens recur, so that models find much to memorise. An
out-of-fold score leans if anything was chosen or learnt by the lines that are scored. A test score cannot: half of the
one-token answers are right in the mean over all coins, and this mean is what is shown. Members of every family, a
student of pseudo-labels and blends by every method answer; counts are pooled over six contests. Everything runs in this
process, on one thread. The half-width is that of the 95 % interval over the coins.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Aim, Report, machine, options
from daguan.core.seeds import stream
from daguan.core.types import Score, Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import format_labelled, format_unlabelled, write_lines
from daguan.data.span_score import span_score
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.blending import label_all, load_member
from daguan.families.jobs import run_job
from daguan.pipeline import prepare, train
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.devices import prepare_process

LABELS = "ab"
MOST = 0.5  # points that an out-of-fold score may be above the test score
MEMBERS = ("ngram_crf", "cnn", "lstm", "soup", "student")
WORDS = (
    f"members=[{','.join(MEMBERS)}]", "folds.count=3", "vocabulary.min_count=1", "blend.method=mean",
    "encoder.layers=1", "encoder.hidden=32", "encoder.max_length=64", "engine.precision=float32",
    "model.head=crf", "model.encoder=cnn", "model.ngram_buckets=4096", "ngram_crf.iterations=20",
    "train.epochs=3", "train.batch_size=8", "train.encoder_learning_rate=1e-2",
    "ensemble.cnn={}", "ensemble.other.train.seed=1", "ensemble.lstm.model.encoder=lstm",
    "ensemble.soup={family: soup, soup: {members: [cnn, other]}}",
    "ensemble.student={family: ngram_crf, pseudo_labels: {teachers: [cnn, ngram_crf], confidence: 0, weight: 1}}",
)  # fmt: skip
BLENDS = tuple(method for method in METHODS if method != "mean")  # the mean has a row beside each


@dataclass(frozen=True)
class Size:
    """The size of each contest.

    Attributes:
        length: tokens of a line.
        tokens: distinct tokens.
    """

    contests: int = 6
    train_lines: int = 170
    test_lines: int = 50
    length: int = 40
    tokens: int = 300


SIZE, QUICK = Size(), Size(1, 40, 10)


@dataclass(frozen=True)
class Difference:
    """The scores of one row, pooled over contests."""

    out_of_fold: Score
    test: Score

    def __add__(self, other: Difference) -> Difference:
        return Difference(self.out_of_fold + other.out_of_fold, self.test + other.test)

    @property
    def points(self) -> float:
        """Returns out-of-fold F1 minus test F1, in points."""
        return 100 * (self.out_of_fold.f1 - self.test.f1)

    @property
    def half_width(self) -> float:
        """Returns the half-width of the 95 % interval of `points`, where F1 is the share of right tokens."""
        f1 = self.out_of_fold.f1
        return 196 * math.sqrt(f1 * (1 - f1) / self.out_of_fold.gold)


def write_contest(folder: Path, size: Size, number: int) -> None:
    """Write train and test."""
    rng = stream(number, "coin flips")
    folder.mkdir(parents=True)

    def lines(count: int) -> list[Sentence]:
        tokens = rng.integers(size.tokens, size=(count, size.length))
        coins = rng.integers(len(LABELS), size=tokens.shape)
        return [
            Sentence(tuple(map(str, of_line)), tuple(Span(i, i + 1, LABELS[coin]) for i, coin in enumerate(flipped)))
            for of_line, flipped in zip(tokens.tolist(), coins.tolist(), strict=True)
        ]

    contest = Contest(folder)
    write_lines(contest.train, map(format_labelled, lines(size.train_lines)))
    write_lines(contest.test, map(format_unlabelled, lines(size.test_lines)))


def play(
    folder: Path, size: Size, number: int, methods: Sequence[str], more: Sequence[str] = ()
) -> dict[str, Difference]:
    """Train and blend on one contest; returns what each member and each method scores."""
    write_contest(folder / "contest", size, number)
    places = (f"data.dir={folder / 'contest'}", f"data.work={folder / 'work'}")
    stages = Stages(load([*WORDS, *places, f"seed={number}", *more]))
    prepare.make(stages.settings)
    prepare_process(1)
    for members in train.rounds_of(stages.settings):
        train.pseudo_labels(stages, members)
        for member in members:
            for job in stages.fold_jobs(member, threads=1):
                run_job(job, lambda progress: None)
    prepared, blend, folds = stages.prepared, stages.settings.blend, stages.settings.folds.count
    loaded = [load_member(run.path, folds) for run in stages.members]
    found: dict[str, Difference] = {}
    for method in methods:
        for row in label_all(loaded, prepared.blend_data(blend.replace(method=method)), prepared.test):
            name = row.name.rpartition("-")[0] or (method if row.name == "blend" else row.name)
            found[name] = Difference(span_score(row.out_of_fold, prepared.train), mean_score(row.test))
    return found


def mean_score(answer: Sequence[Sentence]) -> Score:
    """Returns the mean span counts of an answer over all coins."""
    spans = [span for line in answer for span in line.gold]
    right = sum(span.stop - span.start == 1 for span in spans) // len(LABELS)
    return Score(right, len(spans), sum(len(line.tokens) for line in answer))


def pooled(size: Size, methods: Sequence[str] = BLENDS, more: Sequence[str] = ()) -> dict[str, Difference]:
    """Returns what each member and each method scores, over all contests."""
    total: dict[str, Difference] = {}
    for number in range(size.contests):
        with tempfile.TemporaryDirectory() as folder:
            for name, found in play(Path(folder), size, number, methods, more).items():
                total[name] = total[name] + found if name in total else found
    return total


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    report = Report("Out of fold and test where labels are coin flips", machine(threads=1))
    for name, found in pooled(QUICK if asked.quick else SIZE).items():
        row = {"row": name, "out of fold": 100 * found.out_of_fold.f1, "test": 100 * found.test.f1}
        row |= {"points": found.points, "half-width": found.half_width}
        report.add(row, Aim.below(name, MOST, found.points, " points"))
    report.show(asked.json)


if __name__ == "__main__":
    main(sys.argv[1:])
