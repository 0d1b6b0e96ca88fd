"""Sentence order and next sentence, learnt together with the masked language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daguan.core.seeds import stream
from daguan.data.batches.masking import Ids, Masked
from daguan.data.batches.pairs import PAIRINGS, PairText
from daguan.models.encoders.loading import MaskedLm
from daguan.models.pretraining_heads import SentenceLm
from daguan.training.objectives.base import EVALUATION_ROWS, Measure, Order, Plan, Sums, sums_of_guesses
from daguan.training.objectives.masked_lm import MlmObjective


@dataclass(frozen=True)
class MaskedPairs(Masked):
    """A masked batch of pairs.

    Attributes:
        pair_labels: (B,), 0 where the segments are as in the text.
    """

    pair_labels: Ids


class PairObjective(MlmObjective):
    """A masked language model on pairs of segments, which also learns the class of each pair.

    The two mean losses are added (BERT, arXiv 1810.04805 §A.2). A pair takes the place of a block.

    Attributes:
        task: the name of the pairs in the table PAIRINGS.
    """

    task: ClassVar[str]

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        assert isinstance(self.model, MaskedLm)
        self.model = SentenceLm(self.model).to(plan.device)
        self.pairs = PairText(plan.blocks)
        self.train, self.held_out_pairs = self.pairs.split(self.held_out)
        self.order = Order(self.train, plan.rows, plan.seed)

    def batch(self, update: int) -> MaskedPairs:
        rng = stream(self.plan.seed, "pairs", update)
        ids, labels = PAIRINGS[self.task](self.pairs, self.order.of(update), self.train, rng)
        return _with_labels(self.plan.mask(ids, update), labels)

    def loss(self, model: nn.Module, part: Masked) -> Tensor:
        tokens, labels, pairs, pair_labels = self._guess(model, part)
        of_pairs = cross_entropy(pairs, pair_labels, reduction="sum") / self.plan.rows
        return self.loss_of_tokens(tokens, labels) + of_pairs

    def evaluations(self) -> Iterator[tuple[Measure, Sequence[Masked]]]:
        yield from super().evaluations()
        lows = range(0, len(self.held_out_pairs), EVALUATION_ROWS)
        yield self._measure_pairs, [self._held_out_part(low) for low in lows]

    def guess_tokens(self, model: nn.Module, part: Masked) -> tuple[Tensor, Tensor]:
        inputs, positions, labels = self.plan.tensors(part.inputs, part.positions, part.labels)
        with self.plan.autocast():
            logits: Tensor = model(inputs, positions)[0]
        return logits.float(), labels

    def _guess(self, model: nn.Module, part: Masked) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return logits (B·M,V) and labels (B,M) of the chosen places, logits (B,2) and labels (B,) of the pairs."""
        assert isinstance(part, MaskedPairs)
        inputs, positions, labels, pair_labels = self.plan.tensors(
            part.inputs, part.positions, part.labels, part.pair_labels
        )
        with self.plan.autocast():
            tokens, pairs = model(inputs, positions)
        return tokens.float(), labels, pairs.float(), pair_labels

    def _held_out_part(self, low: int) -> MaskedPairs:
        chunks = self.held_out_pairs[low : low + EVALUATION_ROWS]
        rng = stream(self.plan.seed, "held-out-pairs", low)
        everywhere = np.arange(len(self.pairs.starts))
        ids, labels = PAIRINGS[self.task](self.pairs, chunks, everywhere, rng)
        return _with_labels(self.plan.mask_held_out(ids, low), labels)

    def _measure_pairs(self, model: nn.Module, part: Masked) -> dict[str, Sums]:
        _, _, pairs, pair_labels = self._guess(model, part)
        return {self.task: sums_of_guesses(pairs, pair_labels)}


class SentenceOrderObjective(PairObjective):
    """`mlm+sop`: whether two segments stand in the order of the text."""

    task = "sop"


class NextSentenceObjective(PairObjective):
    """`mlm+nsp`: whether a segment follows the other one in the text."""

    task = "nsp"


def _with_labels(masked: Masked, pair_labels: Ids) -> MaskedPairs:
    return MaskedPairs(masked.inputs, masked.positions, masked.labels, pair_labels)
