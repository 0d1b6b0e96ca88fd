"""Measures what features of the text without labels give the n-gram CRF, and what they cost.

    python -m benchmarks.text_features [--json] [--quick] [CONTEST …]

The contests are the built-in one at 6,000 training lines and the data sets beside the project (../shared/data). Both
sides have the penalties and iterations of the default preset. Scores are strict span F1: out of fold over two folds,
and on the test part by a model of all training lines; a gain is that of the features, with its paired bootstrap
interval of 95 %. Times are CPU time on one core: learning the features once a contest, training on all lines, and
labelling. Finished runs are stored in data/benchmarks and not repeated.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.contests import CONTESTS, NOT_IN_MEAN
from benchmarks.data import DataSet
from benchmarks.families import text_of
from benchmarks.harness import Report, machine, options
from daguan.core.files import read_json, write_json
from daguan.core.types import Score
from daguan.data.bootstrap import paired_gain
from daguan.data.decoding import decode_lines
from daguan.data.format import read_labelled
from daguan.data.marginals import Marginals
from daguan.data.span_score import span_scores
from daguan.families.fold import HELD_OUT, MODEL, TEST, FoldJob
from daguan.families.jobs import run_job
from daguan.families.ngram_crf import NgramCrf
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.prediction import annotate
from daguan.training.text_features import text_features

PEOPLE = f"{data.PEOPLE}_6000"
NAMES = [name for name in CONTESTS if name not in (*NOT_IN_MEAN, data.PEOPLE)]
MEMBER, COST = "ngram_crf", "cost.json"
SIDES = {"plain": "false", "with text features": "true"}


@dataclass(frozen=True)
class Side:
    """The n-gram CRF with or without features of the text: scores of each line, and costs."""

    out_of_fold: list[Score]
    test: list[Score]
    costs: dict[str, float]

    @classmethod
    def of(cls, stages: Stages) -> Side:
        jobs = stages.fold_jobs(MEMBER, threads=1)
        folder = Path(jobs[0].folder).parent
        jobs.append(replace(jobs[0], fold=len(jobs), folder=str(folder / f"fold{len(jobs)}")))
        costs = [_run(job) for job in jobs]
        contest = stages.prepared
        held_out = {line: probs for job in jobs[:-1] for line, probs in _marginals(job, HELD_OUT).by_line().items()}
        own = decode_lines([held_out[line] for line in range(len(contest.train))], contest.scheme)
        test = decode_lines(_marginals(jobs[-1], TEST).per_line(), contest.scheme)
        gold = read_labelled(contest.contest.test_gold)
        return cls(
            span_scores(annotate(contest.train, own), contest.train), span_scores(annotate(gold, test), gold), costs[-1]
        )


def main(words: list[str]) -> None:
    chosen = [word for word in words if word in NAMES]
    asked = options([word for word in words if word not in NAMES], __doc__)
    report = Report("text features", machine(1))
    for name in chosen or (NAMES[:1] if asked.quick else NAMES):
        sides = {side: Side.of(_stages(name, value, asked.quick)) for side, value in SIDES.items()}
        before = sides["plain"]
        for side, found in sides.items():
            row: dict[str, Any] = {"contest": name, "n-gram CRF": side}
            for part in ("out_of_fold", "test"):
                scores, plain = getattr(found, part), getattr(before, part)
                row[part.replace("_", " ")] = f"{100 * sum(scores, Score()).f1:.2f}"
                row[f"gain, {part.replace('_', ' ')}"] = "–" if found is before else text_of(paired_gain(scores, plain))
            costs = found.costs
            row |= {"learning, s": round(costs["learning"], 1), "training, s": round(costs["training"], 1)}
            row |= {"ratio": round(costs["training"] / before.costs["training"], 2)}
            report.add(row | {"labelling, µs a token": round(costs["labelling"], 1)})
    report.show(asked.json)


def _stages(name: str, text: str, quick: bool) -> Stages:
    words = [*data.words(quick), *([] if name == PEOPLE else CONTESTS[name]), "folds.count=2", "members=ngram_crf"]
    DataSet.prepared(words)
    return Stages(load([*words, f"ngram_crf.text_features={text}"]))


def _run(job: FoldJob) -> dict[str, float]:
    """Does the job unless it is done; returns CPU seconds, and microseconds a token of labelling."""
    path = Path(job.folder) / COST
    if not path.is_file():
        start = time.process_time()
        if job.settings.ngram_crf.text_features:
            text_features(Path(job.prepared), job.seed)
        middle = time.process_time()
        run_job(job, lambda progress: None)
        end = time.process_time()
        model, lines = NgramCrf(Path(job.folder) / MODEL), read_labelled(Path(job.train))[:1000]
        loaded = time.process_time()
        model.marginals(lines)
        labelling = time.process_time() - loaded
        tokens = np.sum([len(line.tokens) for line in lines])
        costs = {"learning": middle - start, "training": end - middle, "labelling": 1e6 * labelling / float(tokens)}
        write_json(path, costs)
    return dict(read_json(path))


def _marginals(job: FoldJob, name: str) -> Marginals:
    return Marginals.load(Path(job.folder) / name)


if __name__ == "__main__":
    main(sys.argv[1:])
