"""Compares lengths of the fragments that MASS learns to write: equal CPU minutes of pretraining, judged by tagging.

    python -m benchmarks.mass [--json] [--quick] [minutes=N] [PERCENT …]

After figure 5 of Song et al. 2019 (arXiv 1905.02450), which finds half of the text best. On a slice of the built-in
contest an encoder is pretrained with fragments of 10 to 90 percent of a block, then fine-tuned under a CRF on fold 0
and judged on the lines that it holds out; beside them, the same minutes of the masked language model. All losses of
MASS are those of writing half a block, which favours training at half, so F1 decides. One thread a run, a run a core,
one seed. Runs are stored in data/benchmarks and not repeated.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks import data
from benchmarks.data import DataSet
from benchmarks.harness import ROOT, Report, cores, machine, options
from benchmarks.learning import OURS, Learning
from benchmarks.ours import precision
from daguan.families.fold import FoldJob
from daguan.families.job import result_of
from daguan.pipeline.engines.running import run_jobs
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages

PERCENTS = (10, 30, 50, 70, 90)
MINUTES, MINUTES_QUICK = 5.0, 0.05
COUNT = "minutes="
SLICE = ("contest.train_lines=3000", "contest.test_lines=200")
TAGGER = ("members=tagger", "train.evaluations=1")
QUICK = (*data.QUICK_SLICE, "train.epochs=1", "model.ngram_buckets=1024")


@dataclass(frozen=True)
class Point:
    """One length of fragments, in percent of a block; 0 stands for the masked language model."""

    percent: int
    minutes: float
    quick: bool

    @property
    def name(self) -> str:
        return f"mass, {self.percent} %" if self.percent else "mlm"

    @property
    def objective(self) -> list[str]:
        """The settings in which its pretraining differs from the default preset's."""
        return ["model.encoder=mass", f"pretrain.fragment={self.percent / 100}"] if self.percent else []

    @property
    def words(self) -> list[str]:
        """The command line of its stages."""
        preset = [str(ROOT / "configs" / "small.yaml"), f"data.work={data.WORK}"]
        return [*preset, *TAGGER, *(QUICK if self.quick else SLICE), *self.objective]

    @property
    def pretraining(self) -> Learning:
        return Learning(OURS, DataSet(Stages(load(self.words))).text, self.minutes, 1, self.objective)

    @property
    def job(self) -> FoldJob:
        """Fold 0, in a folder named by what it depends on."""
        stages, pretrained = Stages(load(self.words)), self.pretraining.folder
        folder = data.WORK / "mass" / f"{stages.train('tagger').path.name}-{pretrained.name}"
        job = stages.fold_jobs("tagger", threads=1)[0]
        return dataclasses.replace(job, pretrained=str(pretrained), folder=str(folder))


def main(words: list[str]) -> None:
    percents = [int(word) for word in words if word.isdigit()]
    given = [float(word.removeprefix(COUNT)) for word in words if word.startswith(COUNT)]
    asked = options([word for word in words if not word.isdigit() and not word.startswith(COUNT)], __doc__)
    (minutes,) = given or [MINUTES_QUICK if asked.quick else MINUTES]
    points = [Point(percent, minutes, asked.quick) for percent in (0, *(percents or PERCENTS))]
    DataSet.prepared(points[0].words)
    report = Report("mass", machine(1, precision()))
    measure(points, report)
    report.show(asked.json)


def measure(points: Sequence[Point], report: Report) -> None:
    """A row a point."""
    with ThreadPoolExecutor(cores()) as pool:
        curves = list(pool.map(lambda point: point.pretraining.run()["curve"], points))
    jobs = [point.job for point in points]
    run_jobs(jobs, cores())
    for point, curve, job in zip(points, curves, jobs, strict=True):
        row = {"objective": point.name, "CPU minutes": curve[-1]["minutes"], "tokens": curve[-1]["tokens"]}
        loss = f"{curve[-1]['loss']:.3f}"
        report.add(row | {"held-out loss": loss, "span F1": f"{100 * result_of(job)['f1']:.2f}"})


if __name__ == "__main__":
    main(sys.argv[1:])
