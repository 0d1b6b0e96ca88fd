"""Ablations: one thing changed at a time from one base, on two real data sets, several seeds each; span F1 and seconds.

    python -m benchmarks.ablation [--json] [--quick] [seeds=N] [DATA …] [FACTOR …]

The base is the tagger of the default preset, except for three epochs at a linearly falling rate
(benchmarks/factors.py), on an encoder pretrained for 3 CPU minutes. A factor that changes the encoder or its
pretraining has an encoder of its own, pretrained for the same minutes: equal compute, judged by the tagger's F1. Every
run trains on one half of 2,000 randomly drawn training lines and labels the other half, which chooses nothing (there is
one evaluation, at the end). A factor's gain is the mean over the seeds of its F1 minus the base's F1 with the same
seed, code and machine; fine-tuning has several seeds, encoders have one. Seconds are a run's CPU time without
pretraining and imports; ECE is the expected calibration error of the tags' marginals; the loss is the masked-LM loss on
held-out text (of the generator if there is no other); the tokens are those of pretraining. The number of tokens is
estimated from the speed of the first updates, and a noisy machine changes it by a fifth.

Results are stored in benchmarks/ablations.jsonl and not measured again: delete a line to measure it again.
docs/ablations.md is made from those lines that have the settings which the factors have today.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import data
from benchmarks.calibration import calibration_error
from benchmarks.data import PEOPLE, DataSet
from benchmarks.factors import BASE, FACTORS, GROUPS
from benchmarks.harness import ROOT, Report, Row, command, cores, machine, options, our_environment, page, table
from benchmarks.learning import OURS, Learning
from benchmarks.ours import precision
from daguan.core.code import code_version
from daguan.core.files import read_json, write_json
from daguan.data.marginals import Marginals
from daguan.families.fold import HELD_OUT, FoldData, FoldJob
from daguan.families.job import result_of
from daguan.families.jobs import run_job
from daguan.models.encoders.table import PRETRAINED
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages

SEEDS = 3
PAGE = ROOT / "docs" / "ablations.md"
RECORDS = ROOT / "benchmarks" / "ablations.jsonl"
COST = "cost.json"
COUNT = "seeds="
BASE_NAME = "base"
MINUTES, MINUTES_QUICK = 3.0, 0.1
OF_PRETRAINING = ("pretrain.", "encoder.", "model.encoder=")  # the settings on which an encoder depends
HALVES = ("folds.count=2", "folds.lines=2000")
LINES = ("contest.train_lines=3000", "contest.test_lines=100")
RUNS_A_PROCESS = 16  # a new one now and then: what a process keeps for each shape it met is memory
QUICK = ("train.epochs=1", "model.ngram_buckets=1024")


@dataclass(frozen=True)
class Trial:
    """One run: a factor on a data set with a seed."""

    data: str
    factor: str
    seed: int

    def words(self, quick: bool) -> list[str]:
        """Its command line."""
        return [*words_of(self.data, quick), *BASE, *(QUICK if quick else ()), *FACTORS[self.factor]]

    def pretraining(self, quick: bool) -> Learning | None:
        """Returns the run that its encoder comes from; None for an encoder that is not pretrained."""
        settings = load(self.words(quick))
        if settings.model.encoder not in PRETRAINED:
            return None
        text = DataSet(Stages(settings)).text
        words = [word for word in FACTORS[self.factor] if word.startswith(OF_PRETRAINING)]
        return Learning(OURS, text, MINUTES_QUICK if quick else MINUTES, 1, words, points=1)

    def job(self, quick: bool) -> FoldJob:
        """Fold 0, in a folder named by what it depends on; folds and pretrained encoder are the same for all seeds."""
        stages = Stages(load(self.words(quick)))
        job = stages.fold_jobs("tagger", threads=1)[0]
        if pretraining := self.pretraining(quick):
            job = dataclasses.replace(job, pretrained=str(pretraining.folder))
        name = f"{stages.train('tagger').path.name}-{Path(job.pretrained).name}-{self.seed}"
        return dataclasses.replace(job, seed=self.seed, folder=str(data.WORK / "ablation" / name))


@dataclass(frozen=True)
class Record:
    """A line of RECORDS.

    Attributes:
        settings: the factor's arguments of the command line.
        f1, ece: in per cent.
        seconds: CPU time.
        code: the version of the code that was measured.
        cpu: the machine.
        tokens: read in pretraining.
    """

    data: str
    factor: str
    settings: str
    seed: int
    f1: float
    ece: float
    seconds: float
    loss: float | None
    code: str
    cpu: str
    tokens: int | None

    @property
    def trial(self) -> Trial:
        return Trial(self.data, self.factor, self.seed)

    @property
    def current(self) -> bool:
        """Whether the factor still has these settings."""
        return " ".join(FACTORS.get(self.factor, ("",))) == self.settings


def main(words: list[str]) -> None:
    factors = [word for word in words if word in FACTORS] or list(FACTORS)
    known = data.names()
    names = [word for word in words if word in known] or known
    (count,) = [int(word.removeprefix(COUNT)) for word in words if word.startswith(COUNT)] or [SEEDS]
    others = [word for word in words if word not in (*FACTORS, *known) and not word.startswith(COUNT)]
    asked = options(others, __doc__)
    if asked.quick:
        records = measure(list(trials_of(names, factors, range(1, 2))), quick=True)
    else:
        records = recorded()
        trials = missing(trials_of(names, factors, range(1, count + 1)), records)
        records = with_records(records, measure(trials, quick=False))
        write_page(records)
    report = Report("ablation", machine(1, precision()))
    for name in names:
        for row in rows_of([record for record in records if record.data == name]):
            report.add({"data": name} | row)
    report.show(asked.json)


def trials_of(names: Sequence[str], factors: Sequence[str], seeds: Sequence[int]) -> Iterable[Trial]:
    """Returns all factors with the first seed, then all with the next: an interrupted table is still a table."""
    return (Trial(name, factor, seed) for seed in seeds for factor in factors for name in names)


def missing(trials: Iterable[Trial], records: Sequence[Record]) -> list[Trial]:
    """Returns the trials not measured yet, first the bases that this code and machine lack for them."""
    here = code_version()[:12], machine(1)["cpu"]
    there = {record.trial for record in records if record.factor != BASE_NAME}
    wanted = [trial for trial in trials if trial not in there]
    bases = {record.trial for record in records if record.factor == BASE_NAME and (record.code, record.cpu) == here}
    needed = dict.fromkeys(dataclasses.replace(trial, factor=BASE_NAME) for trial in wanted)
    return [base for base in needed if base not in bases] + [t for t in wanted if t.factor != BASE_NAME]


def measure(trials: Sequence[Trial], quick: bool) -> list[Record]:
    """Prepare, pretrain and train each trial, a run a core; finished runs in data/benchmarks are not repeated."""
    for name in dict.fromkeys(trial.data for trial in trials):
        DataSet.prepared(words_of(name, quick))
    pretrain(trials, quick)
    jobs = {trial: trial.job(quick) for trial in trials}
    run_all(list(jobs.values()))
    return [record_of(trial, job, quick) for trial, job in jobs.items()]


def words_of(name: str, quick: bool) -> list[str]:
    """The command line of a stage on a data set."""
    return [*data.words(quick, name), *(LINES if name == PEOPLE and not quick else ()), *HALVES]


def pretrain(trials: Sequence[Trial], quick: bool) -> None:
    """Make the encoders that the trials start from, a core each, and the token vectors."""
    runs = {run.folder: run for trial in trials if (run := trial.pretraining(quick))}
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda run: run.run(), runs.values()))
    for words in {tuple(trial.words(quick)) for trial in trials if not trial.pretraining(quick)}:
        command("pretrain", words)


def run_all(jobs: Sequence[FoldJob]) -> None:
    """Run a job a core, in processes that live for several. (`max_tasks_per_child` hangs in Python 3.11.)"""
    os.environ.update(our_environment(1))
    spawning, some = multiprocessing.get_context("spawn"), cores() * RUNS_A_PROCESS
    for low in range(0, len(jobs), some):
        with ProcessPoolExecutor(cores(), mp_context=spawning) as pool:
            list(pool.map(run, jobs[low : low + some]))


def run(job: FoldJob) -> None:
    """Do a job and store its CPU seconds with its result."""
    folder = Path(job.folder)
    if job.finished and (folder / COST).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    run_job(job, lambda progress: None)
    write_json(folder / COST, {"cpu_seconds": round(time.process_time() - start, 1)})


def record_of(trial: Trial, job: FoldJob, quick: bool) -> Record:
    pretraining = trial.pretraining(quick)
    learnt = pretraining.run()["curve"][-1] if pretraining else {}
    return Record(
        data=trial.data,
        factor=trial.factor,
        settings=" ".join(FACTORS[trial.factor]),
        seed=trial.seed,
        f1=round(100 * result_of(job)["f1"], 3),
        ece=round(100 * calibration_of(job), 3),
        seconds=read_json(Path(job.folder) / COST)["cpu_seconds"],
        loss=learnt.get("loss"),
        code=code_version()[:12],
        cpu=machine(1)["cpu"],
        tokens=learnt.get("tokens"),
    )


def calibration_of(job: FoldJob) -> float:
    """Returns the calibration error of its answers to the held-out lines."""
    data, answers = FoldData.read(job), Marginals.load(Path(job.folder) / HELD_OUT).per_line()
    gold = [data.scheme.encode(len(line.tokens), line.gold) for line in data.held_out]
    return calibration_error(answers, gold)


def recorded() -> list[Record]:
    """Returns the stored records of factors whose settings are still the same."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.is_file() else []
    return [record for record in (Record(**json.loads(line)) for line in lines) if record.current]


def with_records(records: list[Record], new: Sequence[Record]) -> list[Record]:
    """Returns all records, after writing them to disk."""
    whole = records + [record for record in new if record not in records]
    text = "".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in whole)
    RECORDS.write_text(text, encoding="utf-8")
    return whole


def rows_of(records: Sequence[Record]) -> list[Row]:
    """Returns a row for each factor of one data set, in the order of the table, with its gain over the base."""
    bases = {(r.code, r.cpu, r.seed): r.f1 for r in records if r.factor == BASE_NAME}
    rows: list[Row] = []
    for factor in FACTORS:
        if not (of := [r for r in records if r.factor == factor]):
            continue
        gains = [r.f1 - bases[key] for r in of if (key := (r.code, r.cpu, r.seed)) in bases]
        losses = [r.loss for r in of if r.loss is not None]
        rows.append(
            {
                "factor": factor,
                "seeds": len({r.seed for r in of}),
                "span F1": mean_and_spread([r.f1 for r in of]),
                "gain": "" if factor == BASE_NAME or not gains else mean_and_spread(gains, sign="+"),
                "ECE": f"{statistics.mean(r.ece for r in of):.2f}",
                "seconds": round(statistics.mean(r.seconds for r in of)),
                "loss": f"{statistics.mean(losses):.2f}" if losses else "–",
                "tokens, k": round(of[0].tokens / 1000) if of[0].tokens else "–",
                "settings": f"`{of[0].settings}`" if of[0].settings else "",
            }
        )
    return rows


def mean_and_spread(values: Sequence[float], sign: str = "") -> str:
    """Mean ± standard deviation; only the mean if there is one value."""
    mean = f"{statistics.mean(values):{sign}.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def write_page(records: Sequence[Record]) -> None:
    """Write docs/ablations.md: a table for each group and data set."""
    parts = []
    for group, factors in GROUPS.items():
        for name in dict.fromkeys(record.data for record in records):
            chosen = [record for record in records if record.data == name and record.factor in (BASE_NAME, *factors)]
            if len(rows := rows_of(chosen)) > 1:
                parts.append(f"## {group}: {name}\n\n{table(rows)}")
    PAGE.write_text(page("Ablations", "ablation", __doc__, machine(1, precision()), parts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
