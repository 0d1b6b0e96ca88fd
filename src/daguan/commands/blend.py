"""blend [CONFIG] [key=value …]: the mean of all members' marginals, decoded once."""

from __future__ import annotations

import os

from daguan.answers import blending
from daguan.answers.lookup import looked_up
from daguan.commands.settings import Settings, load
from daguan.commands.stages import Stages, once
from daguan.core.files import write_json
from daguan.core.runs import Run, Stopwatch
from daguan.core.types import Sentence, labels_of
from daguan.reports.score_table import print_scores
from daguan.text.format import format_labelled, read_labelled, read_unlabelled, write_lines
from daguan.text.scores import both_readings
from daguan.text.tags import TagScheme

MODELS = "models.json"


def main(words: list[str]) -> None:
    settings = load(words)
    stages = Stages(settings)
    for run in stages.members:
        run.manifest()
    once(stages.blend, lambda run: blend(run, stages, settings))
    print_scores("out of fold", stages.blend.manifest()["out_of_fold"])


def blend(run: Run, stages: Stages, settings: Settings) -> None:
    """Write each member's and the blend's labelled test lines, their out-of-fold scores, and the list of models."""
    watch = Stopwatch()
    train, test = read_labelled(stages.contest / "train.txt"), read_unlabelled(stages.contest / "test.txt")
    scheme = TagScheme(labels_of(train))
    members = [blending.load_member(member.path, settings.folds.count) for member in stages.members]
    if len(members) > 1:
        members.append(blending.blend(members))
    out_of_fold = {}
    for member in members:
        labelled = blending.label(train, member.held_out, scheme)
        out_of_fold[member.name] = both_readings(labelled, train)
        answer = blending.label(test, member.test, scheme)
        _write(run, member.name, looked_up(answer, train) if settings.blend.lookup else answer)
    models = blending.model_folders([member.path for member in stages.members], settings.folds.count)
    write_json(run.path / MODELS, [os.path.relpath(model, run.path) for model in models])
    run.finish(watch.seconds, out_of_fold=out_of_fold, final=members[-1].name)


def _write(run: Run, name: str, sentences: list[Sentence]) -> None:
    write_lines(run.path / f"{name}.txt", map(format_labelled, sentences))
