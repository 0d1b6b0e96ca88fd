"""Plays the contest on hidden training lines."""

from __future__ import annotations

import json
from functools import partial
from typing import NamedTuple

from daguan.competition.candidates import Candidate
from daguan.competition.forecast import LineCounts
from daguan.competition.planner import Planner
from daguan.competition.rehearsal import HiddenScores, hide, rehearse
from daguan.core.files import sha256_of_file
from daguan.core.progress import say
from daguan.core.quantity import quantity
from daguan.core.runs import Run, Stopwatch, run_of
from daguan.core.settings import require, to_dict
from daguan.core.tables import Row
from daguan.core.types import Sentence
from daguan.data.contest import Contest
from daguan.data.folds import document_of_line
from daguan.data.format import format_labelled, format_unlabelled, read_labelled, write_lines
from daguan.formats.corrections import copy
from daguan.formats.importing import translating
from daguan.pipeline import prepare
from daguan.pipeline.engines.running import require_engine
from daguan.pipeline.run import make_blend
from daguan.pipeline.settings import Settings, load, named_configuration
from daguan.pipeline.stages import Stages, once

CONTEST, GOLD = "contest", "hidden_gold.txt"  # the labels are outside of the folder that stages see
HIDING, PLAYING = (Row(f"daguan.competition.rehearsal:{name}") for name in ("hide", "rehearse"))


class Rehearsal(NamedTuple):
    """A contest that was played.

    Attributes:
        played: the run that holds the game.
        trained: the stages of every configuration, on the lines that are not hidden.
        gold: the hidden lines with their labels.
    """

    played: Run
    trained: list[Stages]
    gold: list[Sentence]


def make(words: list[str]) -> Rehearsal:
    """Train every configuration on the lines that are not hidden, and play."""
    settings = load(words)
    calls = _calls(words, settings)
    for call in calls:  # before hours of training
        _check(load(call))
    require_engine(settings.engine, settings.data.work)
    stages = Stages(settings)
    prepare.build_contest(stages)
    contest_run = make_contest(stages, settings)
    there = {"dir": CONTEST, "work": "work", "submissions": "submissions"}
    places = [*(f"data.{name}={contest_run.path / folder}" for name, folder in there.items()), "data.corrections=''"]
    trained = [make_blend([*call, *places]) for call in calls]
    about = {"plan": to_dict(settings.plan), "rehearse": to_dict(settings.rehearse)}
    keys = [stages.answer.path.name for stages in trained]
    played = run_of(contest_run.path, "play", {"seed": settings.seed, "blends": keys, **about}, [PLAYING])
    gold = read_labelled(contest_run.path / GOLD)
    once(played, lambda run: _play(run, contest_run, trained, settings, gold))
    return Rehearsal(played, trained, gold)


def make_contest(stages: Stages, settings: Settings) -> Run:
    """The folder of the made contest, beside the labels of its test file."""
    about = {"data": stages.data_sha256, "seed": settings.seed, "share": settings.rehearse.share}
    about |= {"group": settings.folds.group}
    if beside := {path.name: sha256_of_file(path) for path in translating(stages.contest) if path.is_file()}:
        about |= {"beside": beside}
    run = run_of(stages.work, "rehearse", about, [HIDING])
    once(run, partial(_make_contest, contest=stages.contest, settings=settings))
    return run


def _make_contest(run: Run, contest: Contest, settings: Settings) -> None:
    watch = Stopwatch()
    sentences = read_labelled(contest.train)
    documents = document_of_line(contest, len(sentences), settings.folds)
    kept, hidden = hide(sentences, settings.rehearse.share, settings.seed, documents)
    made = Contest(run.path / CONTEST)
    if documents is not None:
        write_lines(made.groups, map(str, documents[kept].tolist()))
    write_lines(made.train, (format_labelled(sentences[line]) for line in kept))
    write_lines(made.test, (format_unlabelled(sentences[line]) for line in hidden))
    write_lines(run.path / GOLD, (format_labelled(sentences[line]) for line in hidden))
    for path in (contest.corpus, *translating(contest)):
        copy(path, made.folder / path.name)
    say(f"rehearse: {len(hidden):,} of {quantity(len(sentences), 'training line')} hidden ({made.folder})")
    run.finish(watch.seconds, kept=len(kept), hidden=hidden.tolist())


def _calls(words: list[str], settings: Settings) -> list[list[str]]:
    """The words of each configuration."""
    own, changes = named_configuration(words)
    return [[config, *changes] for config in (own, *settings.rehearse.configs)]


def _check(settings: Settings) -> None:
    """Raises ConfigError: something that saw the hidden lines would take part."""
    for name, runs in (("blend.runs", settings.blend.runs), ("conflicts.run", settings.conflicts.run)):
        require(name, not runs, "none in a rehearsal: it saw the hidden lines", runs)


def _play(run: Run, contest_run: Run, trained: list[Stages], settings: Settings, gold: list[Sentence]) -> None:
    watch = Stopwatch()
    answers = {name: found for stages in trained for name, found in _answers(stages).items()}
    candidates = [Candidate.of(name, *about) for name, about in answers.items()]
    planner = Planner(candidates, LineCounts(contest_run.manifest()["kept"], len(gold)), settings.plan)
    truth = HiddenScores.of([answers[name][1] for name in planner.names], gold)
    outcome = rehearse(planner, truth, settings.plan.public_share, settings.rehearse, settings.seed)
    run.finish(watch.seconds, outcome=json.loads(json.dumps(outcome)))


def _answers(stages: Stages) -> dict[str, tuple[dict[str, object], list[Sentence], int]]:
    """What a configuration could send: every member's answer and the blend's, each between its scores out of fold and
    the number of lines that were scored."""
    run = stages.answer
    members, lines = [member.path.name for member in stages.members], stages.scored_lines
    found = {}
    for name, scores in run.manifest()["out_of_fold"].items():
        whole = name if name in members else f"{name}-{run.key}"
        found[f"{stages.settings.name}/{whole}"] = (scores, read_labelled(run.path / f"{name}.txt"), lines)
    return found
