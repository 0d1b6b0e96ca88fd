"""What a member's teachers label for it, once they are trained: a file of labelled lines for each fold."""

from __future__ import annotations

from typing import Any

from daguan.core.files import read_json
from daguan.core.progress import say
from daguan.core.runs import Run, Stopwatch
from daguan.core.types import labels_of
from daguan.data.folds import read_folds
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.tags import TagScheme
from daguan.ensemble.blending import load_text_index
from daguan.ensemble.pseudo_labels import SOURCES, Teachers, corpus_sample, lines_to_label, write_pseudo_labels
from daguan.pipeline.stages import Stages
from daguan.training.devices import prepare_process, share_cores


def pseudo_label(run: Run, stages: Stages, member: str) -> None:
    """Write the lines of each fold, and how many there are of which source. A killed run continues with the fold it was
    at."""
    watch = Stopwatch()
    settings = stages.settings.member(member)
    asked, engine = settings.pseudo_labels, settings.engine
    prepare_process(share_cores(engine, 1)[1])
    train, test = read_labelled(stages.train_file), read_unlabelled(stages.contest.test)
    known = read_labelled(stages.gold_file)
    corpus = corpus_sample(stages.contest.corpus, asked, [*known, *test], stages.settings.seed)
    lines = lines_to_label(test, known) if asked.test else []
    prepared, scheme = stages.prepare.path, TagScheme(labels_of(train))
    folds, text = read_folds(prepared), load_text_index(prepared)
    runs = [teacher.path for teacher in stages.teachers(member)]
    teachers = Teachers.of(runs, train, folds, scheme, stages.settings.blend.method, stages.settings.seed, text)
    found = []
    for fold in range(settings.folds.count):
        about = run.path / f"fold{fold}.json"
        if not about.is_file():
            write_pseudo_labels(run.path, fold, teachers.blend(fold).label(test, lines, corpus, engine), asked, train)
        found.append(read_json(about))
    say(f"{run.path.name}: by {', '.join(path.name for path in runs)}: {_summary(found)}")
    run.finish(watch.seconds, by_fold=found)


def _summary(found: list[dict[str, dict[str, Any]]]) -> str:
    """Of each source that has lines how many of them each fold keeps, and the entities in these."""
    parts = []
    for source in SOURCES:
        if offered := found[0][source]["offered"]:
            counts = [f"{fold[source]['kept']:,} ({fold[source]['entities']:,})" for fold in found]
            parts.append(f"of {offered:,} {source} lines {', '.join(counts)}")
    return f"lines kept in each fold (with entities): {'; '.join(parts) or 'none'}"
