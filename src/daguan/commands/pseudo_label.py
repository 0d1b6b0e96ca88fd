"""What a member's teachers label for it, once they are trained: a file of labelled lines for each fold."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from daguan.answers.labelling import Verdict
from daguan.answers.pseudo_labelling import SOURCES, Teachers, figures, kept, unlabelled
from daguan.commands.stages import Stages
from daguan.core.errors import DataError
from daguan.core.files import read_json, write_json
from daguan.core.progress import say
from daguan.core.runs import Run, Stopwatch
from daguan.core.types import Sentence, labels_of
from daguan.text.folds import read_folds
from daguan.text.format import (
    format_labelled,
    format_unlabelled,
    iter_lines,
    parse_unlabelled,
    read_labelled,
    read_unlabelled,
    write_lines,
)
from daguan.text.sampling import sample_lines
from daguan.text.tags import TagScheme
from daguan.training.devices import prepare_process
from daguan.training.pseudo_labels import PseudoLabelSettings, labelled_file


def pseudo_label(run: Run, stages: Stages, member: str) -> None:
    """Write the lines of each fold, and how many there are of which source. A killed run continues with the fold it was
    at."""
    watch = Stopwatch()
    settings = stages.settings.member(member)
    asked, engine = settings.pseudo_labels, settings.engine
    prepare_process(engine.plan(1)[1])
    train, test = read_labelled(stages.train_file), read_unlabelled(stages.contest / "test.txt")
    corpus = corpus_sample(stages, asked, [*train, *test])
    lines = unlabelled(test, train) if asked.test else []
    folds, scheme = read_folds(stages.prepare.path), TagScheme(labels_of(train))
    runs = [teacher.path for teacher in stages.teachers(member)]
    teachers = Teachers.of(runs, train, folds, scheme, stages.settings.blend.method, stages.settings.seed)
    found = []
    for fold in range(settings.folds.count):
        about = run.path / f"fold{fold}.json"
        if not about.is_file():
            offered = teachers.label(fold, test, lines, corpus, engine)
            keep(run.path, fold, offered, asked)
        found.append(read_json(about))
    say(f"{run.path.name}: by {', '.join(path.name for path in runs)}: {_summary(found)}")
    run.finish(watch.seconds, by_fold=found)


def keep(folder: Path, fold: int, offered: Mapping[str, list[Verdict]], asked: PseudoLabelSettings) -> None:
    """Write what of the labelled lines is good enough, and last how many there are of each source."""
    taken = {source: kept(offered[source], asked) for source in SOURCES}
    write_lines(labelled_file(folder, fold), map(format_labelled, chain(*taken.values())))
    write_json(folder / f"fold{fold}.json", {source: figures(offered[source], taken[source]) for source in SOURCES})


def require_corpus(stages: Stages, asked: PseudoLabelSettings, section: str = "pseudo_labels") -> None:
    """Before hours of training. section: of the settings, that asks. Raises DataError: there is no corpus, and the test
    lines are not to be labelled either."""
    path = stages.contest / "corpus.txt"
    if not asked.test and not path.is_file():
        raise DataError(f"{path}: expected a corpus, as {section}.test is false, got nothing at that path")


def corpus_sample(
    stages: Stages, asked: PseudoLabelSettings, known: list[Sentence], section: str = "pseudo_labels"
) -> list[Sentence]:
    """Distinct lines of the corpus that are none of the known ones; none where the contest has no corpus. Raises
    DataError as `require_corpus`."""
    require_corpus(stages, asked, section)
    path = stages.contest / "corpus.txt"
    if asked.corpus_lines == 0:
        return []
    if not path.is_file():
        say(f"{section}: no {path.name} in {path.parent}: test lines alone")
        return []
    texts = {format_unlabelled(sentence) for sentence in known}
    lines = (line for _, line in iter_lines(path))
    return [parse_unlabelled(line) for line in sample_lines(lines, asked.corpus_lines, stages.settings.seed, texts)]


def _summary(found: list[dict[str, dict[str, Any]]]) -> str:
    """Of each source that has lines how many of them each fold keeps, and the entities in these."""
    parts = []
    for source in SOURCES:
        if offered := found[0][source]["offered"]:
            counts = [f"{fold[source]['kept']:,} ({fold[source]['entities']:,})" for fold in found]
            parts.append(f"of {offered:,} {source} lines {', '.join(counts)}")
    return f"lines kept in each fold (with entities): {'; '.join(parts) or 'none'}"
