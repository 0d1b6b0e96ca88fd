"""The stage `pseudo`: the teachers of a member label lines for it, a file of lines for each fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daguan.core.files import read_json
from daguan.core.progress import say
from daguan.core.quantity import quantity
from daguan.core.runs import Run, Stopwatch
from daguan.ensemble.blend_settings import BlendSettings
from daguan.ensemble.pseudo_labels import (
    SOURCES,
    Teachers,
    corpus_sample,
    draws_of,
    lines_to_label,
    write_pseudo_labels,
)
from daguan.families.pseudo_labels import PseudoLabelSettings
from daguan.pipeline.work.prepared import PreparedContest
from daguan.training.devices import prepare_process, share_cores
from daguan.training.engine_settings import EngineSettings


def pseudo_label(
    run: Run, prepared: PreparedContest, teachers: Sequence[Path], blend: BlendSettings, asked: PseudoLabelSettings,
    engine: EngineSettings,
) -> None:  # fmt: skip
    """Write the pseudo-labelled lines of each fold. A killed run continues with the fold it was at."""
    watch = Stopwatch()
    prepare_process(share_cores(engine, 1)[1], engine)
    train, test, known = prepared.train, prepared.test, prepared.known
    corpus = corpus_sample(prepared.contest.corpus, asked, [*known, *test], prepared.seed)
    lines = lines_to_label(test, known) if asked.test else []
    taught_by = Teachers.of(teachers, prepared.blend_data(blend))
    found = []
    for fold in range(prepared.folds):
        about = run.path / f"fold{fold}.json"
        if not about.is_file():
            draws = draws_of(asked, prepared.seed, fold)
            labelled = taught_by.blend(fold).label(test, lines, corpus, engine, draws)
            write_pseudo_labels(run.path, fold, labelled, asked, train)
        found.append(read_json(about))
    say(f"{run.path.name}: by {', '.join(path.name for path in teachers)}: {_summary(found)}")
    run.finish(watch.seconds, by_fold=found)


def _summary(found: list[dict[str, dict[str, Any]]]) -> str:
    """Returns how many lines of each source each fold takes, and the entities in these."""
    parts = []
    for source in SOURCES:
        if offered := found[0][source]["offered"]:
            counts = [f"{fold[source]['kept']:,} ({fold[source]['entities']:,})" for fold in found]
            parts.append(f"of {quantity(offered, f'{source} line')} {', '.join(counts)}")
    return f"lines kept in each fold (with entities): {'; '.join(parts) or 'none'}"
