"""How the advice of a report fares in a rehearsal: each step that a configuration could take is taken, and scored on
the hidden lines.

A step leaves a member out, or takes one that another configuration of the rehearsal has trained: beside the others, or
in place of its namesake of fewer updates. Nothing is trained for it, and nothing of it is chosen on hidden lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from daguan.api import frames
from daguan.core.runs import Run, Stopwatch, run_of
from daguan.core.tables import Row
from daguan.core.types import Score, Sentence
from daguan.data.bootstrap import RESAMPLES, paired_gains, resampled_f1
from daguan.data.span_score import span_scores
from daguan.ensemble import blending
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.blending import MemberResults
from daguan.ensemble.combination import OutOfFoldData
from daguan.pipeline.rehearse import Rehearsal
from daguan.pipeline.stages import Stages, once
from daguan.report.advice import ADD, DROP, LONGER, advice, kind_of, reasons
from daguan.report.jobs import jobs, trained
from daguan.report.tracks import labelled
from daguan.report.worth import worth
from daguan.training.prediction import annotate

CODE = [Row("daguan.report.rehearsed:follow")]


class Step(NamedTuple):
    """A step that a configuration could take.

    Attributes:
        do: drop, train longer, or add.
        member: the run of the member that is left out or trained longer, or of the one that is added.
        members: the runs of the blend then.
    """

    do: str
    member: str
    members: tuple[str, ...]


def followed(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """Returns all steps of all configurations, with what each gives on the hidden lines; they are taken once."""
    played = rehearsal.played
    run = run_of(played.path.parent, "advice", {"played": played.path.name}, CODE)
    once(run, partial(follow, rehearsal=rehearsal))
    found: list[dict[str, Any]] = run.manifest()["steps"]
    return found


def follow(run: Run, rehearsal: Rehearsal) -> None:
    """Write what each step gives into the manifest of the run."""
    watch = Stopwatch()
    rows = [row for stages in rehearsal.trained for row in _of_configuration(stages, rehearsal)]
    run.finish(watch.seconds, steps=rows)


def _of_configuration(stages: Stages, rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """Returns the steps of one configuration."""
    same_lines = [other for other in rehearsal.trained if other.lines == stages.lines]
    paths = {run.path.name: run.path for other in same_lines for run in other.members}
    found = worth(stages, labelled(stages))
    taken = steps(_by_member(stages), [_by_member(other) for other in same_lines], _updates(same_lines))
    method = found["how"] or stages.answered()["method"]
    data, test = stages.prepared.blend_data(stages.settings.blend), stages.prepared.test
    loaded = {name: blending.load_member(path, stages.prepared.folds) for name, path in paths.items()}

    def scores(names: Sequence[str]) -> list[Score]:
        return span_scores(_answer([loaded[name] for name in names], data, test, method), rehearsal.gold)

    base = scores([run.path.name for run in stages.members])
    after = [scores(step.members) for step in taken]
    given, kinds = _given(stages, found), {name: kind_of(path) for name, path in paths.items()}
    advised = [(step.do, kinds[step.member] if step.do == ADD else step.member) in given for step in taken]
    name = stages.settings.name
    return [{"configuration": name, **row} for row in judged(taken, advised, base, after)]


def _by_member(stages: Stages) -> dict[str, str]:
    """Returns the runs of a configuration by the names of its members."""
    return {member: stages.train(member).path.name for member in stages.settings.members}


def _updates(configurations: Sequence[Stages]) -> dict[str, float]:
    """Returns the updates that all folds of each run did together."""
    return {
        name: float(rows["updates"].sum())
        for stages in configurations
        for name, rows in jobs(trained(stages)).groupby("run")
    }


def _given(stages: Stages, found: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Returns what a report of the configuration advises, with the run or the kind of the member."""
    models = frames.leaderboard(stages.answer.path, stages.answered())
    table = advice(models, found, jobs(trained(stages)), reasons(stages, {}))
    return {*zip(table["advice"], table["member"], strict=True)}


def steps(own: Mapping[str, str], others: Sequence[Mapping[str, str]], updates: Mapping[str, float]) -> list[Step]:
    """Returns all steps of a configuration.

    own, others: its runs and those of other configurations, by the names of members; updates: that each run did.
    """
    runs = tuple(sorted(own.values()))
    without = {run: tuple(one for one in runs if one != run) for run in runs}
    found = [Step(DROP, run, rest) for run, rest in without.items() if rest]
    for member, run in dict.fromkeys((name, run) for other in others for name, run in other.items()):
        namesake = own.get(member, "")
        if run in runs:
            continue
        if namesake and updates.get(run, 0) > updates.get(namesake, 0):
            found.append(Step(LONGER, namesake, tuple(sorted([*without[namesake], run]))))
        else:
            found.append(Step(ADD, run, tuple(sorted([*runs, run]))))
    return found


def _answer(
    members: Sequence[MemberResults], data: OutOfFoldData, test: Sequence[Sentence], method: str
) -> list[Sentence]:
    """Returns the test lines as labelled by a blend of these members that is fitted to all training lines."""
    marginals, test_marginals = [member.held_out for member in members], [member.test for member in members]
    learner = METHODS[method].load().learner(replace(data, marginals=marginals))
    combination = learner.fit(np.ones(len(data.gold), bool)).adapted_to(test, test_marginals)
    return annotate(test, combination.spans(test, test_marginals))


def judged(
    taken: Sequence[Step], advised: Sequence[bool], base: Sequence[Score], after: Sequence[Sequence[Score]]
) -> list[dict[str, Any]]:
    """Returns each step with its gain of span F1 on the hidden lines and the 95 % interval of the gain.

    An advised step stands beside one of the same kind that is drawn at random: `random`, the mean gain of these, and
    `better`, the share of resamples of the lines in which the advised one gains more; None where it is the only one.

    base, after: the scores of the hidden lines before any step, and after each.
    """
    if not taken:
        return []
    gains = [(-one.f1, (-one.interval[1], -one.interval[0])) for one in paired_gains(base, after, RESAMPLES)]
    sampled = np.array([resampled_f1(scores, RESAMPLES) for scores in after])
    rows = []
    for number, (step, (gain, interval)) in enumerate(zip(taken, gains, strict=True)):
        alike = [other for other, one in enumerate(taken) if one.do == step.do]
        compared = advised[number] and len(alike) > 1
        drawn = float(np.mean([gains[other][0] for other in alike])) if compared else None
        better = float((sampled[number] > sampled[alike].mean(0)).mean()) if compared else None
        row = {"do": step.do, "member": step.member, "advised": advised[number], "gain": gain, "interval": [*interval]}
        rows.append(row | {"random": drawn, "better": better})
    return rows
