"""Ablations: one thing changed at a time from one base, on two real data sets, several seeds each; span F1 and seconds.

    python -m benchmarks.ablation [--json] [--quick] [FACTOR …]

The base is the tagger of the default preset on an encoder pretrained for 20 CPU minutes, one a data set (that of
`benchmarks.efficiency f1`). Every run trains on fold 0's training lines and answers its held-out lines, which choose
nothing (one evaluation, at the end). A factor's gain is the mean over the seeds of its F1 less the base's with the same
seed. Runs are kept in data/benchmarks and not done again; docs/ablations.md is written at the end.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data
from benchmarks.efficiency import PEOPLE, UNER, DataSet, data_words
from benchmarks.factors import BASE, FACTORS, GROUPS
from benchmarks.harness import ROOT, Report, Row, cores, machine, options, table
from benchmarks.learning import OURS, Learning
from benchmarks.ours import precision
from daguan.commands.settings import load
from daguan.commands.stages import Stages
from daguan.engines.local import run_jobs
from daguan.training.jobs import FoldJob, result_of

SEEDS = (1, 2, 3)
PAGE = ROOT / "docs" / "ablations.md"
MINUTES, MINUTES_QUICK = 20.0, 0.1
QUICK = ("train.epochs=1", "model.ngram_buckets=1024")


@dataclass(frozen=True)
class Trial:
    """One run: a factor on a data set with a seed."""

    data: str
    factor: str
    seed: int

    def words(self, quick: bool) -> list[str]:
        """Its command line."""
        return [*data_words(self.data, quick), *BASE, *(QUICK if quick else ()), *FACTORS[self.factor]]

    def job(self, encoder: Path, quick: bool) -> FoldJob:
        """Fold 0, in a folder named by what it depends on; folds and pretrained encoder are the same for all seeds."""
        stages = Stages(load(self.words(quick)))
        folder = data.WORK / "ablation" / f"{stages.train('tagger').path.name}-{encoder.name}-{self.seed}"
        job = stages.fold_jobs("tagger", threads=1)[0]
        return dataclasses.replace(job, seed=self.seed, pretrained=str(encoder), folder=str(folder))


def main(words: list[str]) -> None:
    named = [word for word in words if word in FACTORS]
    asked = options([word for word in words if word not in FACTORS], __doc__)
    trials = list(trials_of(named or list(FACTORS), asked.quick))
    names = list(dict.fromkeys(trial.data for trial in trials))
    texts = {name: DataSet.prepared(data_words(name, asked.quick)).text for name in names}
    minutes = MINUTES_QUICK if asked.quick else MINUTES
    encoders = {name: Learning(OURS, text, minutes, 1) for name, text in texts.items()}
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda run: run.run(), encoders.values()))
    jobs = {trial: trial.job(encoders[trial.data].folder, asked.quick) for trial in trials}
    run_jobs(list(jobs.values()), cores())
    report = Report("ablation", machine(1, precision()))
    rows = {name: rows_of(name, jobs) for name in names}
    for name, of_data in rows.items():
        for row in of_data:
            report.add({"data": name} | row)
    if not asked.quick:
        write_page(rows, report)
    report.show(asked.json)


def trials_of(factors: Sequence[str], quick: bool) -> Iterable[Trial]:
    """The base first; all factors with one seed before any has the next: a table cut short is still one."""
    names = [PEOPLE, *([UNER.name] if UNER.is_dir() else [])]
    for seed in SEEDS[: 1 if quick else None]:
        for factor in dict.fromkeys(["base", *factors]):
            for name in names:
                yield Trial(name, factor, seed)


def rows_of(name: str, jobs: dict[Trial, FoldJob]) -> list[Row]:
    """A row a factor, in the order of the table, with its gain over the base."""
    scores = {trial: 100 * result_of(job)["f1"] for trial, job in jobs.items() if trial.data == name}
    rows: list[Row] = []
    for factor in dict.fromkeys(trial.factor for trial in scores):
        of_seeds = {trial.seed: score for trial, score in scores.items() if trial.factor == factor}
        gains = [score - scores[Trial(name, "base", seed)] for seed, score in of_seeds.items()]
        seconds = [
            result_of(job)["seconds"] for trial, job in jobs.items() if trial in scores and trial.factor == factor
        ]
        rows.append(
            {
                "factor": factor,
                "span F1": mean_and_spread(list(of_seeds.values())),
                "gain": "" if factor == "base" else mean_and_spread(gains, sign="+"),
                "seconds": round(statistics.mean(seconds)),
                "settings": " ".join(FACTORS[factor]),
            }
        )
    return rows


def mean_and_spread(values: Sequence[float], sign: str = "") -> str:
    """Mean ± standard deviation; without the latter where there is one value."""
    mean = f"{statistics.mean(values):{sign}.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def write_page(rows: dict[str, list[Row]], report: Report) -> None:
    """docs/ablations.md: a table a group and data set."""
    about = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    parts = [
        f"# Ablations\n\nMade by `python -m benchmarks.ablation`: {about}.\n\n{(__doc__ or '').split(chr(10) * 2)[2]}"
    ]
    for group, factors in GROUPS.items():
        for name, of_data in rows.items():
            chosen = [row for row in of_data if row["factor"] in ("base", *factors)]
            if len(chosen) > 1:
                parts.append(f"## {group}: {name}\n\n{table(chosen)}")
    Path(PAGE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
