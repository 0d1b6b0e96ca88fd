"""Combines trained members into one, by a method fitted to out-of-fold marginals. Nothing is retrained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.quantity import quantity
from daguan.core.runs import WRITTEN_BY, require_current
from daguan.core.types import Sentence, Span
from daguan.data.batches.packing import TokenLines, token_file
from daguan.data.bootstrap import paired_gains
from daguan.data.marginals import LineMarginals, Marginals, mean
from daguan.data.span_score import span_scores
from daguan.data.text_index import TextIndex
from daguan.data.vocabulary import Vocabulary
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.combination import Combination, Learner, MemberMarginals, OutOfFoldData
from daguan.families.fold import HELD_OUT, MODEL, TEST
from daguan.training.prediction import annotate

FILE = "combination.json"
MODELS = "models.json"
MEAN, BLEND = "mean", "blend"  # rows beside the members'


@dataclass(frozen=True)
class MemberResults:
    """The marginals of a trained member.

    Attributes:
        name: its run.
        held_out: the marginals of each training line by the model that had not seen it.
        test: the folds' mean marginals of each test line.
    """

    name: str
    held_out: Sequence[LineMarginals]
    test: Sequence[LineMarginals]


def load_member(run: Path, folds: int) -> MemberResults:
    """Reads the marginals of all folds of a run. Raises CheckpointError: a fold or line is missing or duplicate."""
    return MemberResults(run.name, load_held_out(run, folds), mean([load_test(run, fold) for fold in range(folds)]))


def load_held_out(run: Path, folds: int) -> list[LineMarginals]:
    """Returns the out-of-fold marginals of each training line. Raises CheckpointError as `load_member`."""
    return _in_order([Marginals.load(run / f"fold{fold}" / HELD_OUT) for fold in range(folds)], run)


def load_test(run: Path, fold: int) -> list[LineMarginals]:
    """Returns the marginals of each test line by the model of one fold. Raises CheckpointError as `load_member`."""
    return _in_order([Marginals.load(run / f"fold{fold}" / TEST)], run)


def _in_order(parts: Sequence[Marginals], run: Path) -> list[LineMarginals]:
    marginals = {line: probs for part in parts for line, probs in part.by_line().items()}
    lines = sum(len(part.lines) for part in parts)
    if sorted(marginals) != list(range(lines)):
        raise CheckpointError(
            f"{run}: expected an answer for each of {quantity(lines, 'line')}, got {len(marginals)} or others"
        )
    return [marginals[line] for line in range(lines)]


class BlendRow(NamedTuple):
    """The lines as labelled by a member or a blend.

    Attributes:
        name: of the row.
        out_of_fold: the training lines; no line was seen by the models and the combination that label it.
        test: the test lines.
        combination: the way that labelled the test lines.
    """

    name: str
    out_of_fold: list[Sentence]
    test: list[Sentence]
    combination: Combination


def label_all(members: Sequence[MemberResults], data: OutOfFoldData, test: Sequence[Sentence]) -> list[BlendRow]:
    """Labels the lines by each member, by their plain mean, and last by the blend; equal rows appear once.

    The marginals in `data` are not read.

    Raises:
        CheckpointError: the members' marginals are of other lines.
    """
    method, rows = data.settings.method, [(member.name, [member], MEAN) for member in members]
    if len(members) > 1 and method != MEAN:
        rows.append((MEAN, [*members], MEAN))
    if len(members) > 1 or method != MEAN:
        rows.append((BLEND, [*members], method))
    return [_label(name, some, data, test, how) for name, some, how in rows]


def _label(
    name: str, members: Sequence[MemberResults], data: OutOfFoldData, test: Sequence[Sentence], method: str
) -> BlendRow:
    marginals, test_marginals = [member.held_out for member in members], [member.test for member in members]
    check_lines(data.gold, marginals)
    check_lines(test, test_marginals)
    of_row = replace(data, marginals=marginals)
    learner = METHODS[method].load().learner(of_row)
    combination = learner.fit(np.ones(len(data.gold), bool)).adapted_to(test, test_marginals)
    nested = annotate(data.gold, nested_spans(learner, of_row))
    return BlendRow(name, nested, annotate(test, combination.spans(test, test_marginals)), combination)


def nested_spans(learner: Learner, data: OutOfFoldData) -> list[tuple[Span, ...]]:
    """Returns the spans of each line by a combination fitted to the other folds, so that its score is out of fold."""
    spans: list[tuple[Span, ...]] = [()] * len(data.gold)
    for fold in range(int(data.fold_of_line.max()) + 1):
        lines = np.flatnonzero(data.fold_of_line == fold).tolist()
        combination = learner.fit(data.fold_of_line != fold)
        for line, of_line in zip(lines, learner.held_out(combination, data, lines), strict=True):
            spans[line] = of_line
    return spans


def check_lines(sentences: Sequence[Sentence], marginals: MemberMarginals) -> None:
    """Raises CheckpointError: a member's marginals do not have the lengths of these lines."""
    expected = [len(sentence.tokens) for sentence in sentences]
    for member in marginals:
        if [len(probs) for probs in member] != expected:
            raise CheckpointError(
                f"blend: expected marginals for {quantity(len(expected), 'line')} of these lengths, got others"
            )


def gains(labelled: Sequence[BlendRow], gold: Sequence[Sentence]) -> dict[str, dict[str, Any]]:
    """Returns the gain of the last row's out-of-fold span F1 over each other row; nothing for a single row."""
    *others, blend = [span_scores(row.out_of_fold, gold) for row in labelled]
    found = paired_gains(blend, others) if others else []
    return {row.name: gain.to_json() for row, gain in zip(labelled[:-1], found, strict=True)}


def load_text_index(prepared: Path) -> TextIndex:
    """Returns the index of all text that `prepare` wrote. Raises CheckpointError: it is missing."""
    vocabulary = Vocabulary.load(prepared)
    return TextIndex(TokenLines(token_file(prepared, len(vocabulary)), vocabulary).ids, vocabulary)


def models_of(runs: Sequence[Path], folds: int) -> list[list[Path]]:
    """Returns the folders of each run's models."""
    return [[run / f"fold{fold}" / MODEL for fold in range(folds)] for run in runs]


def save_blend(
    folder: Path, method: str, combination: Combination, models: Sequence[Sequence[Path]], prepared: Path | None
) -> None:
    """Writes what `predict` needs: the combination, the folders of each member's models, and that of the text; None
    if it needs none."""
    text = prepared and os.path.relpath(prepared, folder)
    write_json(folder / FILE, {**WRITTEN_BY, "method": method, "text": text, **combination.to_json()})
    write_json(folder / MODELS, [[os.path.relpath(path, folder) for path in of_member] for of_member in models])


def load_blend(folder: Path) -> tuple[list[list[Path]], Combination]:
    """Returns the folders of each member's models, and the combination. Raises CheckpointError: damaged, of another
    version, or the text of a stack is gone.
    """
    names, values = read_json(folder / MODELS), read_json(folder / FILE)
    try:
        require_current(folder, values)
        models = [[(folder / name).resolve() for name in of_member] for of_member in names]
        text = values["text"] and (folder / values["text"]).resolve()
        load_text = partial(load_text_index, text) if text else lambda: None
        return models, METHODS[values["method"]].load().read(values, load_text)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder}: expected a fitted blend, got: {error!r}") from None
