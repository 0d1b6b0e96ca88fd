"""Does the job of one fold of one member, the same for every family."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from daguan.core.files import write_json
from daguan.core.runs import CHECKPOINT
from daguan.core.types import Score
from daguan.data.decoding import decode_lines
from daguan.data.marginals import LineMarginals, Marginals, to_half_precision
from daguan.data.span_score import span_score
from daguan.families.family import family_of
from daguan.families.fold import HELD_OUT, TEST, FoldData, FoldJob
from daguan.families.job import RESULT, Report, result_of
from daguan.training import ranks
from daguan.training.devices import prepare_process
from daguan.training.prediction import annotate

CHUNK_LINES = 2_000


def run_job(job: FoldJob, report: Report) -> dict[str, Any]:
    """Train, predict, and write the job's folder; returns result.json. Raises DaguanError.

    The worker of a killed parent may live for a moment more: its successor waits for it.
    """
    with ranks.alone_in(Path(job.folder)):
        return result_of(job) if ranks.of_first(job.finished) else _run_alone(job, report)


def _run_alone(job: FoldJob, report: Report) -> dict[str, Any]:
    folder = Path(job.folder)
    prepare_process(job.threads, job.engine)
    data = FoldData.read(job)
    found = family_of(job.settings.family).train(job, data, report)
    if not ranks.is_first():
        return {}
    if data.held_out:
        Marginals.of(data.fold.held_out, found.held_out).save(folder / HELD_OUT)
    Marginals.of(range(len(data.test)), found.test).save(folder / TEST)
    about = {"family": job.settings.family, "fold": job.fold, "training_lines": len(data.train)}
    about |= {
        "pseudo_labelled_lines": len(data.pseudo) // max(1, job.settings.pseudo_labels.draws),
        "held_out_lines": len(data.held_out),
        "threads": job.threads,
    }
    result = {**about, "held_out": asdict(found.score), "f1": found.score.f1, **found.figures}
    write_json(folder / RESULT, result)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return result


def score_held_out(data: FoldData, answers: Iterable[NDArray[Any]]) -> tuple[list[LineMarginals], Score]:
    """Returns the answers to the held-out lines in half precision, and what they score before that, a chunk of lines at
    a time."""
    kept: list[LineMarginals] = []
    score, rest = Score(), iter(answers)
    for low in range(0, len(data.held_out), CHUNK_LINES):
        gold = data.held_out[low : low + CHUNK_LINES]
        chunk = list(islice(rest, len(gold)))
        score += span_score(annotate(gold, decode_lines(chunk, data.scheme)), gold)
        kept += to_half_precision(chunk)
    return kept, score
