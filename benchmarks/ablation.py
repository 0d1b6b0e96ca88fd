"""Ablations: one thing changed at a time from one base, on two real data sets, several seeds each; span F1 and seconds.

    python -m benchmarks.ablation [--json] [--quick] [seeds=N] [FACTOR …]

The base is the tagger of the default preset on an encoder pretrained for 20 CPU minutes. A factor that changes the
encoder or its pretraining has an encoder of its own, pretrained for as many: equal compute, judged by the tagger's F1.
Every run trains on fold 0's training lines and answers its held-out lines, which choose nothing (one evaluation, at the
end). A factor's gain is the mean over the seeds of its F1 less the base's with the same seed; seeds are of fine-tuning,
encoders have one. Runs are kept in data/benchmarks and not done again; docs/ablations.md is written at the end.
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
from daguan.commands import pretrain as pretrain_stage
from daguan.commands.settings import load
from daguan.commands.stages import Stages
from daguan.engines.local import run_jobs
from daguan.models.encoder_settings import PRETRAINED
from daguan.training.jobs import FoldJob, result_of

SEEDS = (1, 2, 3)
PAGE = ROOT / "docs" / "ablations.md"
COUNT = "seeds="
MINUTES, MINUTES_QUICK = 20.0, 0.1
OF_PRETRAINING = ("pretrain.", "encoder.", "model.encoder=")  # settings that an encoder's pretraining depends on
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

    def pretraining(self, quick: bool) -> Learning | None:
        """The run that its encoder comes from; None for an encoder that is not pretrained."""
        settings = load(self.words(quick))
        if settings.model.encoder not in PRETRAINED:
            return None
        text = DataSet(Stages(settings)).text
        words = [word for word in FACTORS[self.factor] if word.startswith(OF_PRETRAINING)]
        return Learning(OURS, text, MINUTES_QUICK if quick else MINUTES, 1, words)

    def job(self, quick: bool) -> FoldJob:
        """Fold 0, in a folder named by what it depends on; folds and pretrained encoder are the same for all seeds."""
        stages = Stages(load(self.words(quick)))
        job = stages.fold_jobs("tagger", threads=1)[0]
        if pretraining := self.pretraining(quick):
            job = dataclasses.replace(job, pretrained=str(pretraining.folder))
        name = f"{stages.train('tagger').path.name}-{Path(job.pretrained).name}-{self.seed}"
        return dataclasses.replace(job, seed=self.seed, folder=str(data.WORK / "ablation" / name))


def main(words: list[str]) -> None:
    named = [word for word in words if word in FACTORS]
    (seeds,) = [int(word.removeprefix(COUNT)) for word in words if word.startswith(COUNT)] or [len(SEEDS)]
    asked = options([word for word in words if word not in FACTORS and not word.startswith(COUNT)], __doc__)
    trials = list(trials_of(named or list(FACTORS), 1 if asked.quick else seeds))
    names = list(dict.fromkeys(trial.data for trial in trials))
    for name in names:
        DataSet.prepared(data_words(name, asked.quick))
    pretrain(trials, asked.quick)
    jobs = {trial: trial.job(asked.quick) for trial in trials}
    run_jobs(list(jobs.values()), cores())
    report = Report("ablation", machine(1, precision()))
    rows = {name: rows_of(name, jobs) for name in names}
    for name, of_data in rows.items():
        for row in of_data:
            report.add({"data": name} | row)
    if not asked.quick:
        write_page(rows, report)
    report.show(asked.json)


def pretrain(trials: Sequence[Trial], quick: bool) -> None:
    """What the trials start from: encoders, a core each, and token vectors."""
    runs = {run.folder: run for trial in trials if (run := trial.pretraining(quick))}
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda run: run.run(), runs.values()))
    for words in {tuple(trial.words(quick)) for trial in trials if not trial.pretraining(quick)}:
        pretrain_stage.main(list(words))


def trials_of(factors: Sequence[str], seeds: int) -> Iterable[Trial]:
    """The base first; all factors with one seed before any has the next: a table cut short is still one."""
    names = [PEOPLE, *([UNER.name] if UNER.is_dir() else [])]
    for seed in SEEDS[:seeds]:
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
