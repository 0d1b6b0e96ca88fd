"""Rank 9 of the DaGuan cup of 2019 (github lonePatient/daguan_2019_rank9): its models, its vote, its faults.

Three models by the preset `rank9`, each on every fold: a pretrained encoder with BiLSTM and CRF or with BiLSTM and span
head, and convolutions with a BiLSTM. A side is a way to answer the test lines by them: one kind of model, alone, in the
mean over the folds' models; the vote on spans of all models; our stack of the same models; or the vote with one fault
of the published code. The F1 of rank 9 is of the official contest, whose lines are others.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from daguan.core.settings import to_dict
from daguan.core.tables import Row
from daguan.core.types import Span
from daguan.data.decoding import decode_lines
from daguan.data.marginals import mean
from daguan.data.span_score import span_score
from daguan.ensemble.blend_settings import METHODS, BlendSettings
from daguan.ensemble.combination import OutOfFoldData
from daguan.ensemble.voting import elect
from daguan.experiments.claims.claim import NOT_AVAILABLE, Claim, Column, Comparison, Figures, Panel, Part
from daguan.experiments.claims.rank9_faults import token_vote, without_single_tokens
from daguan.experiments.claims.rank9_models import (
    ALL,
    CNN,
    CRF,
    CUT,
    FOLDS,
    LABELS,
    MEMBERS,
    MENDED,
    SELECTION,
    SPAN,
    Models,
    Rank9Settings,
    rows_of,
)
from daguan.experiments.claims.text import ClaimText, inputs_of, text_of
from daguan.training.prediction import annotate

ALONE = {"bert-lstm-crf": CRF, "bert-lstm-span": SPAN, "lstm-cnn": CNN}
VOTE, BLEND, BIO, TOKENS, EVERYTHING = "vote", "blend", "vote-bio", "vote-tokens", "vote-all"
IN_TRAINING = {"vote-labels": LABELS, "vote-selection": SELECTION, "vote-folds": FOLDS}
FULL_ONLY = {"vote-cut": CUT, EVERYTHING: ALL}
FAULTS = {**IN_TRAINING, **FULL_ONLY}
Lines = Sequence[tuple[Span, ...]]


def sides(chosen: Rank9Settings) -> Sequence[str]:
    return [*ALONE, VOTE, BLEND, BIO, TOKENS, *IN_TRAINING, *(FULL_ONLY if chosen.full else ())]


def train(side: str, seed: int, chosen: Rank9Settings) -> Figures:
    """Returns the span F1 on the test lines; models that another side has trained are not trained again."""
    text = text_of(chosen)
    models = Models(chosen, text, seed)
    if side in ALONE:
        found = [_score(decoded, text) for decoded in _decoded(models, (ALONE[side],), MENDED)]
    elif side == BLEND:
        found = [_score(_blended(models), text)]
    else:
        found = [_score(_voted(side, models), text)]
    return {name: statistics.fmean(one[name] for one in found) for name in found[0]}


def _score(lines: Lines, text: ClaimText) -> dict[str, float]:
    score = span_score(annotate(text.test, lines), text.test)
    return {"f1": score.f1, "precision": score.precision, "recall": score.recall}


def _decoded(models: Models, members: Sequence[str], fault: str) -> Iterator[Lines]:
    """Yields the entities of the test lines by each model of each fold."""
    for member, fold in product(members, range(models.chosen.folds)):
        yield decode_lines(models.test(member, fold, fault), models.text.scheme)


def _voted(side: str, models: Models) -> Lines:
    """Returns the entities that more than half of the models have, or what a faulty vote makes of theirs."""
    by_model = list(_decoded(models, MEMBERS, FAULTS.get(side, MENDED)))
    by_line = list(zip(*by_model, strict=True))
    if side in (BIO, EVERYTHING):
        by_line = [tuple(map(without_single_tokens, spans)) for spans in by_line]
    if side in (TOKENS, EVERYTHING):
        pairs = zip(by_line, models.text.test, strict=True)
        return [token_vote(spans, len(line.tokens), models.text.scheme) for spans, line in pairs]
    needed = len(by_model) // 2 + 1
    return [elect(Counter(span for spans in of_line for span in spans), needed) for of_line in by_line]


def _blended(models: Models) -> Lines:
    """Returns the entities by the stack, fitted to the training lines out of fold."""
    text, settings = models.text, BlendSettings()
    held_out = [models.held_out(member, MENDED) for member in MEMBERS]
    folds = range(models.chosen.folds)
    test = [mean([models.test(member, fold, MENDED) for fold in folds]) for member in MEMBERS]
    data = OutOfFoldData(text.train, models.fold_of_line, held_out, text.scheme, models.seed, None, settings)
    fitted = METHODS[settings.method].load().learner(data).fit(np.ones(len(text.train), dtype=bool))
    found: Lines = fitted.adapted_to(text.test, test).spans(text.test, test)
    return found


def inputs(chosen: Rank9Settings) -> dict[str, Any]:
    """Returns the text, and the members that the preset gives at this size."""
    return {**inputs_of(chosen), "members": [to_dict(chosen.member(name, 1)) for name in MEMBERS]}


def code(chosen: Rank9Settings) -> Sequence[Row]:
    rows = [row for member in MEMBERS for row in rows_of(chosen.member(member, 1))]
    return [*rows, METHODS[BlendSettings().method]]


def plot(parts: Sequence[Part], chosen: Rank9Settings) -> Sequence[Panel]:
    f1s: dict[str, list[tuple[float, float]]] = {}
    for part in parts:
        f1s.setdefault(part.side, []).append((100 * part.figures["f1"], float(part.seed)))
    return [Panel("Answers of the same models", "span F1 %", "", f1s, mark="strip")]


CLAIM = Claim(
    paper="github lonePatient/daguan_2019_rank9, F1 of the contest's boards (its result.png)",
    settings=Rank9Settings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("f1", VOTE, "bert-lstm-crf", 1, "94.26 % against 93.59 % at best"),
        Comparison("f1", VOTE, "bert-lstm-span", 1, "94.26 % against 93.43 %"),
        Comparison("f1", VOTE, "lstm-cnn", 1, "94.26 % against 92.38 % at best"),
        Comparison("f1", "bert-lstm-crf", "lstm-cnn", 1, "93.59 % against 92.38 %, each at best"),
        Comparison("f1", BLEND, VOTE, 1, "ours, no figure of rank 9"),
        *(Comparison("f1", VOTE, fault, 1, NOT_AVAILABLE) for fault in (BIO, TOKENS, *FAULTS)),
    ),
    columns={
        "f1": Column("span F1 %", factor=100),
        "precision": Column("precision %", factor=100),
        "recall": Column("recall %", factor=100),
    },
    plot=plot,
    inputs=inputs,
    code=code,
)  # fmt: skip
