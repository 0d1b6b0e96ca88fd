"""Faults of rank 9's published code (github lonePatient/daguan_2019_rank9), for an ablation; the pipeline has none.

Left out are those that cost time and no F1 (line-by-line inference, masks on disk), and those of the submission's file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.batches.masking import Masked
from daguan.data.tags import OUTSIDE, B, E, I, S, TagScheme
from daguan.nn.averaging import copy_into, lent
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.objectives.masked_lm import MlmObjective

SELECTED_BY = 48  # lines: one batch of its validation


class OverwrittenLabels(MlmObjective):
    """Labels of n-grams are read after the tokens were masked, so that most of them are [MASK]; single tokens are
    right. Held-out masks are."""

    def batch(self, update: int) -> Masked:
        masked = super().batch(update)
        after = np.take_along_axis(masked.inputs, masked.positions, axis=1)
        return Masked(masked.inputs, masked.positions, np.where(in_ngrams(masked.positions), after, masked.labels))


def in_ngrams(positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns (B,M): which of the sorted places have a neighbour that is masked too."""
    joined = np.diff(positions, axis=1) == 1
    edge = np.zeros((len(positions), 1), dtype=np.bool_)
    before, after = np.concatenate([edge, joined], axis=1), np.concatenate([joined, edge], axis=1)
    found: NDArray[np.bool_] = before | after
    return found


def train_and_select(trainer: TaggerTrainer) -> None:
    """Trains, and keeps the epoch whose F1 is best on the trainer's held-out lines; they should be SELECTED_BY ones, as
    validation returned inside of its loop over batches."""
    best, kept = -1.0, dict[str, torch.Tensor]()
    for _ in trainer.steps():
        if trainer.done % trainer.updates_per_epoch:
            continue
        with lent(trainer.model, trainer.average.shadow):
            f1 = trainer.evaluate().f1
        if f1 > best:
            best, kept = f1, {name: weight.clone() for name, weight in trainer.average.shadow.items()}
    copy_into(trainer.model, kept)


def cut(line: Sentence, length: int) -> Sentence:
    """Returns the first tokens of a line, without the entities that end later."""
    return Sentence(line.tokens[:length], tuple(span for span in line.gold if span.stop <= length))


def without_single_tokens(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Returns what a decoder of BIO tags finds in BIOS tags: all entities but those of one token."""
    return tuple(span for span in spans if span.stop - span.start > 1)


def token_vote(by_model: Sequence[Sequence[Span]], length: int, scheme: TagScheme) -> tuple[Span, ...]:
    """Returns the entities of the tags that most models give each token, the first one on a tie; the tags may be no
    legal sequence."""
    tags = [scheme.encode(length, spans).tolist() for spans in by_model]
    return read_leniently([Counter(of_token).most_common(1)[0][0] for of_token in zip(*tags, strict=True)], scheme)


def read_leniently(tags: Sequence[int], scheme: TagScheme) -> tuple[Span, ...]:
    """Returns the entities of any tags: each starts at B or S and goes on while I or E of the same label follow."""
    found: list[Span] = []
    start = -1  # of the open entity
    label = -1
    for place, tag in enumerate([*tags, OUTSIDE]):
        kind = (tag - 1) % 4 if tag != OUTSIDE else None
        if start >= 0 and not (kind in (I, E) and (tag - 1) // 4 == label):
            found.append(Span(start, place, scheme.labels[label]))
            start = -1
        if kind in (B, S):
            start, label = place, (tag - 1) // 4
    return tuple(found)
