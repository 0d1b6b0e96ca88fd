"""Learning per minute of CPU time.

    python -m benchmarks.efficiency [--json] [--quick] [loss | f1]

`loss` trains BERT with AdamW, the same with the best schedule we found, and ours on the same text, and compares the
masked-LM loss on held-out blocks and the minutes that each needs to reach a loss. `f1` pretrains our encoder for 5 to
40 minutes and tags a fold on which it was not trained, beside a tagger without pretraining and the n-gram CRF.

One thread a run, a run a core; the best schedule's hour has one seed, the others two. Runs are stored in
data/benchmarks and not repeated: hours of work survive a kill.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks import data
from benchmarks.data import DataSet
from benchmarks.harness import Aim, Report, cores, machine, options
from benchmarks.learning import BERT, BEST_BERT, OURS, Learning
from benchmarks.ours import precision
from daguan.families.fold import FoldJob
from daguan.families.job import result_of
from daguan.pipeline.engines.running import run_jobs
from daguan.pipeline.stages import Stages

PARTS = ("loss", "f1")
MINUTES = {BERT: 60.0, BEST_BERT: 60.0, OURS: 12.0}
SEEDS = {BERT: (1, 2), BEST_BERT: (1,), OURS: (1, 2)}
PRETRAINING_MINUTES = (5.0, 10.0, 20.0, 40.0)

Curve = Sequence[Mapping[str, Any]]  # minutes and loss at each of its points
Curves = Mapping[tuple[str, int], Curve]  # by contender and seed


def main(words: list[str]) -> None:
    parts = [word for word in words if word in PARTS] or list(PARTS)
    asked = options([word for word in words if word not in PARTS], __doc__)
    report = Report("efficiency", machine(1, precision()))
    for part in parts:
        {"loss": compare_losses, "f1": compare_scores}[part](report, asked.quick)
    report.show(asked.json)


def compare_losses(report: Report, quick: bool) -> None:
    """Compare ours after 12 minutes, and earlier, with BERT after 60, and earlier."""
    text = dataclasses.asdict(data.prepared(quick))
    scale = 0.02 if quick else 1.0
    jobs = [
        Learning(contender, text, scale * minutes, seed)
        for contender, minutes in MINUTES.items()
        for seed in SEEDS[contender][: 1 if quick else None]
    ]
    with ThreadPoolExecutor(cores()) as pool:
        curves = dict(zip(jobs_by_name(jobs), pool.map(lambda job: job.run()["curve"], jobs), strict=True))
    for contender in MINUTES:
        of_seeds = curves_of(curves, contender)
        ends = last_losses(of_seeds)
        report.add(
            {
                "contender": contender,
                "CPU minutes": of_seeds[0][-1]["minutes"],
                "tokens": of_seeds[0][-1]["tokens"],
                "held-out loss": statistics.mean(ends),
                "of seeds": "–".join(f"{end:.3f}" for end in sorted({min(ends), max(ends)})),
            }
        )
    for minute in (2.0, 5.0, 10.0, 20.0, 40.0, 60.0):
        report.add({"at minute": scale * minute} | losses_at(curves, scale * minute))
    target = min(statistics.mean(last_losses(curves_of(curves, bert))) for bert in (BERT, BEST_BERT))
    needed = max(minutes_to(curve, target) for curve in curves_of(curves, OURS))
    aim = Aim.below("minutes of ours to the better BERT's loss after 60", MINUTES[OURS] + 0.5, needed, " minutes")
    report.add({"loss to reach": target, "ours, slowest seed, minutes": needed}, aim)


def jobs_by_name(jobs: Sequence[Learning]) -> list[tuple[str, int]]:
    return [(job.contender, job.seed) for job in jobs]


def curves_of(curves: Curves, contender: str) -> list[Curve]:
    """Returns a contender's curves, one for each seed."""
    return [curve for (name, _), curve in curves.items() if name == contender]


def last_losses(curves: Sequence[Curve]) -> list[float]:
    return [curve[-1]["loss"] for curve in curves]


def losses_at(curves: Curves, minute: float) -> dict[str, str]:
    """Returns each contender's mean loss over the seeds at its last evaluation before the minute, if any."""
    found = {}
    for contender in MINUTES:
        of_seeds = curves_of(curves, contender)
        before = [[point["loss"] for point in curve if point["minutes"] <= 1.05 * minute] for curve in of_seeds]
        over = any(curve[-1]["minutes"] < 0.9 * minute for curve in of_seeds)
        found[contender] = "–" if over or not all(before) else f"{statistics.mean(b[-1] for b in before):.3f}"
    return found


def minutes_to(curve: Curve, loss: float) -> float:
    """Returns the minutes to the first evaluation at or below the loss; infinite if there is none."""
    return next((point["minutes"] for point in curve if point["loss"] <= loss), float("inf"))


def compare_scores(report: Report, quick: bool) -> None:
    """Compare F1 on fold 0's held-out lines of both data sets. Encoders come first, the longest runs first, so that no
    core waits."""
    names = data.names()
    if data.UNER.name not in names:
        report.note(f"{data.UNER.name}: left out, there is none beside the project")
    data_sets = {name: DataSet.prepared([*data.words(quick, name), "train.evaluations=1"]) for name in names}
    minutes = [0.02 * m for m in PRETRAINING_MINUTES[:1]] if quick else list(PRETRAINING_MINUTES)
    runs = [Learning(OURS, of.text, minute, 1) for minute in sorted(minutes, reverse=True) for of in data_sets.values()]
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda run: run.run(), runs))
    for name, of in data_sets.items():
        for row in scores(of, minutes):
            report.add({"data": name} | row)


def scores(of: DataSet, minutes: Sequence[float]) -> list[dict[str, Any]]:
    """The n-gram CRF, the tagger without pretraining, and the tagger after each number of minutes of it."""
    runs = [Learning(OURS, of.text, minute, 1) for minute in minutes]
    jobs = [_fold_job(of.stages, "ngram_crf", ""), _fold_job(of.stages, "tagger", "")]
    jobs += [_fold_job(of.stages, "tagger", str(run.folder)) for run in runs]
    run_jobs(jobs, cores())
    ends = [{}, {}, *(run.run()["curve"][-1] for run in runs)]
    names = ["n-gram CRF", "tagger, no pretraining", *(f"tagger, {minute:g} CPU minutes" for minute in minutes)]
    return [
        {
            "model": name,
            "minutes spent": end.get("minutes", "–"),
            "held-out MLM loss": end.get("loss", "–"),
            "F1": f"{100 * result_of(job)['f1']:.2f}",
            "seconds": result_of(job)["seconds"],
        }
        for name, end, job in zip(names, ends, jobs, strict=True)
    ]


def _fold_job(stages: Stages, family: str, pretrained: str) -> FoldJob:
    """Fold 0, in a folder named by what it depends on."""
    job = stages.fold_jobs(family, threads=1)[0]
    folder = data.WORK / "efficiency" / f"{stages.train(family).path.name}-{pretrained[-16:] or 'fresh'}"
    return dataclasses.replace(job, pretrained=pretrained, folder=str(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
