"""Blending: one answer of several members', in a way learnt from lines they had not seen. Nothing is retrained."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.settings import require
from daguan.core.types import Sentence, Span
from daguan.data.batches.packing import TokenLines, token_file
from daguan.data.marginals import LineMarginals, Marginals, mean
from daguan.data.scores import paired_gains, span_scores
from daguan.data.text_index import TextIndex
from daguan.data.vocabulary import Vocabulary
from daguan.ensemble.combination import Answers, Combination, Learner, OutOfFold
from daguan.ensemble.stacking import Stack, StackLearner
from daguan.ensemble.voting import Vote, VoteLearner
from daguan.ensemble.weighting import MeanLearner, WeightedMean, WeightLearner
from daguan.families.jobs import HELD_OUT, MODEL, TEST
from daguan.training.prediction import annotate

FILE = "combination.json"
MODELS = "models.json"
MEAN, BLEND = "mean", "blend"  # rows beside the members'


class Method(NamedTuple):
    """What learns it, and what it is read back as."""

    learner: Callable[[OutOfFold], Learner]
    read: Callable[[dict[str, Any]], Combination]


METHODS = {
    "mean": Method(MeanLearner, WeightedMean.from_json),
    "weights": Method(WeightLearner, WeightedMean.from_json),
    "thresholds": Method(partial(WeightLearner, weights=False, thresholds=True), WeightedMean.from_json),
    "weights+thresholds": Method(partial(WeightLearner, thresholds=True), WeightedMean.from_json),
    "vote": Method(VoteLearner, Vote.from_json),
    "stack": Method(StackLearner, Stack.from_json),
}


@dataclass(frozen=True)
class BlendSettings:
    """runs: folders of trained members in the work folder, as `runs` lists them, e.g. tagger-1a2b3c; empty takes this
    configuration's. method: how they become one. `mean` of marginals; `weights` of that mean, by ensemble selection on
    held-out lines (Caruana et al. 2004); `thresholds`: the plain mean with a bias for each type, set so that span F1 is
    best; `weights+thresholds`; `vote` of the members' spans; `stack`: a logistic regression and boosted trees on what
    members say of a span, on a lexicon of the training lines, and on how its string stands in all the text (Wolpert
    1992; for the lexicon, rank 5, github shifop/datagrand_bert).
    lookup: answer test lines that stand in train with train's commonest labels, in the submission alone (out of fold
    there are none such, and `predict` looks nothing up).
    """

    runs: tuple[str, ...] = ()
    method: str = "stack"
    lookup: bool = False

    def __post_init__(self) -> None:
        require("runs", len(set(self.runs)) == len(self.runs), "distinct runs", self.runs)
        require("method", self.method in METHODS, " or ".join(METHODS), self.method)


@dataclass(frozen=True)
class Member:
    """A trained family: P(tag) of each training line by the models that had not seen it, and of each test line the
    folds' mean; in the order of lines."""

    name: str
    held_out: Sequence[LineMarginals]
    test: Sequence[LineMarginals]


def load_member(run: Path, folds: int) -> Member:
    """Read what the folds of one run left. Raises CheckpointError: a fold or line is missing, or a line twice there."""
    return Member(run.name, load_held_out(run, folds), mean([load_test(run, fold) for fold in range(folds)]))


def load_held_out(run: Path, folds: int) -> list[LineMarginals]:
    """Of each training line, by the model that had not seen it. Raises CheckpointError, as `load_member`."""
    return _in_order([Marginals.load(run / f"fold{fold}" / HELD_OUT) for fold in range(folds)], run)


def load_test(run: Path, fold: int) -> list[LineMarginals]:
    """Of each test line, by one fold's model. Raises CheckpointError, as `load_member`."""
    return _in_order([Marginals.load(run / f"fold{fold}" / TEST)], run)


def _in_order(parts: Sequence[Marginals], run: Path) -> list[LineMarginals]:
    answers = {line: probs for part in parts for line, probs in part.by_line().items()}
    lines = sum(len(part.lines) for part in parts)
    if sorted(answers) != list(range(lines)):
        raise CheckpointError(f"{run}: expected an answer for each of {lines} lines, got {len(answers)} or other lines")
    return [answers[line] for line in range(lines)]


class Labelled(NamedTuple):
    """By a member or a blend: the training lines by models that had not seen them, the test lines, and how."""

    name: str
    out_of_fold: list[Sentence]
    test: list[Sentence]
    combination: Combination


def label_all(members: Sequence[Member], evidence: OutOfFold, test: Sequence[Sentence], method: str) -> list[Labelled]:
    """By each member alone, by their plain mean, and last by the blend; rows that would be the same once only.

    Raises:
        CheckpointError: the members do not answer these lines.
    """
    rows = [(member.name, [member], MEAN) for member in members]
    if len(members) > 1 and method != MEAN:
        rows.append((MEAN, [*members], MEAN))
    if len(members) > 1 or method != MEAN:
        rows.append((BLEND, [*members], method))
    return [_label(name, some, evidence, test, how) for name, some, how in rows]


def _label(
    name: str, members: Sequence[Member], evidence: OutOfFold, test: Sequence[Sentence], method: str
) -> Labelled:
    answers, of_test = [member.held_out for member in members], [member.test for member in members]
    check_lines(evidence.gold, answers)
    check_lines(test, of_test)
    of_members = replace(evidence, answers=answers)
    learner = METHODS[method].learner(of_members)
    combination = learner.fit(np.ones(len(evidence.gold), bool))
    nested = annotate(evidence.gold, nested_spans(learner, of_members))
    return Labelled(name, nested, annotate(test, combination.spans(test, of_test)), combination)


def nested_spans(learner: Learner, evidence: OutOfFold) -> list[tuple[Span, ...]]:
    """Of each line, by a combination that was learnt from the lines of other folds: what is scored was not fitted."""
    spans: list[tuple[Span, ...]] = [()] * len(evidence.gold)
    for fold in range(int(evidence.fold_of_line.max()) + 1):
        lines = np.flatnonzero(evidence.fold_of_line == fold).tolist()
        combination = learner.fit(evidence.fold_of_line != fold)
        answers = [[member[line] for line in lines] for member in evidence.answers]
        found = combination.spans([evidence.gold[line] for line in lines], answers)
        for line, of_line in zip(lines, found, strict=True):
            spans[line] = of_line
    return spans


def check_lines(sentences: Sequence[Sentence], answers: Answers) -> None:
    """Raises CheckpointError: a member has not one answer for each token of each line."""
    expected = [len(sentence.tokens) for sentence in sentences]
    for member in answers:
        if [len(probs) for probs in member] != expected:
            raise CheckpointError(f"blend: expected answers for {len(expected)} lines of these lengths, got others")


def gains(labelled: Sequence[Labelled], gold: Sequence[Sentence]) -> dict[str, dict[str, Any]]:
    """How much the last row's out-of-fold span F1 is above each other row's; none where there is one row."""
    *others, blend = [span_scores(row.out_of_fold, gold) for row in labelled]
    found = paired_gains(blend, others) if others else []
    return {row.name: gain.to_json() for row, gain in zip(labelled[:-1], found, strict=True)}


def load_text_index(prepared: Path) -> TextIndex:
    """All the text, as `prepare` left it. Raises CheckpointError: it is not there."""
    vocabulary = Vocabulary.load(prepared)
    return TextIndex(TokenLines(token_file(prepared, len(vocabulary)), vocabulary).ids, vocabulary)


def save_blend(
    folder: Path, method: str, combination: Combination, runs: Sequence[Path], folds: int, prepared: Path
) -> None:
    """What `predict` needs: the fitted combination, of each member the folders of its models, and that of the text."""
    models = [[os.path.relpath(run / f"fold{fold}" / MODEL, folder) for fold in range(folds)] for run in runs]
    write_json(folder / FILE, {"method": method, "text": os.path.relpath(prepared, folder), **combination.to_json()})
    write_json(folder / MODELS, models)


def load_blend(folder: Path) -> tuple[list[list[Path]], Combination]:
    """Of each member the folders of its models, and the fitted combination. Raises CheckpointError: damaged, or a stack
    whose text is no longer there."""
    names, values = read_json(folder / MODELS), read_json(folder / FILE)
    try:
        models = [[(folder / name).resolve() for name in of_member] for of_member in names]
        combination, prepared = METHODS[values["method"]].read(values), (folder / values["text"]).resolve()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder}: expected a fitted blend, got: {error!r}") from None
    return models, replace(combination, text=load_text_index(prepared)) if isinstance(
        combination, Stack
    ) else combination
