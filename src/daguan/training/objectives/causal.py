"""Language modelling of contiguous text in both directions, each row with a memory of the segment before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from daguan.data.batches.streams import Segments, Streams, independent_segments
from daguan.models.encoders.loading import MaskedLm
from daguan.models.pretraining_heads import BidirectionalLm
from daguan.training import ranks
from daguan.training.objectives.base import EVALUATION_ROWS, Measure, Objective, Plan, Sums, sums_of_guesses

DIRECTIONS = ("forward", "backward")


class CausalObjective(Objective):
    """`causal`: predicts every token from those before it and, in the other direction, from those after it.

    The loss is the mean of both directions (Transformer-XL, arXiv 1901.02860 §3.2, in both directions as ELMo). Every
    place is projected to the vocabulary twice. Held-out blocks are measured one by one without memory, as a tagger
    reads lines.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        assert isinstance(self.model, MaskedLm)
        self.model = BidirectionalLm(self.model)
        self.streams = Streams(plan.blocks, self.train, plan.rows)
        self.memories = self.model.empty_memories(plan.rows)
        self.own = torch.zeros(plan.rows, dtype=torch.bool, device=plan.device)  # rows that this rank has read

    def batch(self, update: int) -> Segments:
        return self.streams.at(update)

    def loss(self, model: nn.Module, part: Segments) -> Tensor:
        """Return the part's share of the mean loss, and move the memory of the part's rows on by a segment."""
        inputs, labels, fresh, rows = self.plan.tensors(part.inputs, part.labels, part.fresh, part.rows)
        before = [memory.of(rows).cleared(fresh[:, side]) for side, memory in enumerate(self.memories)]
        with self.plan.autocast():
            losses, after = model(inputs, labels, before)
        for memory, remembered in zip(self.memories, after, strict=True):
            memory.put(rows, remembered)
        self.own.index_fill_(0, rows, True)
        total: Tensor = losses.sum()
        return total / (self.plan.rows * labels[0].numel())

    def evaluations(self) -> Iterator[tuple[Measure, Sequence[Segments]]]:
        lows = range(0, len(self.held_out), EVALUATION_ROWS)
        parts = [self.held_out[low : low + EVALUATION_ROWS] for low in lows]
        yield self.measure, [independent_segments(self.plan.blocks, part) for part in parts]

    def measure(self, model: nn.Module, part: Segments) -> dict[str, Sums]:
        """Return the sums of each direction, and of both together."""
        inputs, labels = self.plan.tensors(part.inputs, part.labels)
        with self.plan.autocast():
            guesses = cast(BidirectionalLm, model).guess(inputs)
        pairs = zip(DIRECTIONS, guesses, labels.unbind(1), strict=True)
        sums = {name: sums_of_guesses(logits.float(), wanted) for name, logits, wanted in pairs}
        return {"causal": sums["forward"] + sums["backward"], **sums}

    def gather(self) -> None:
        if ranks.any_rank(bool(self.own.any())):  # otherwise every rank still has all of a checkpoint
            for memory in self.memories:
                memory.states[:, ~self.own] = 0
                memory.kept[~self.own] = 0
                ranks.sum_tensors([memory.states, memory.kept])

    def state(self) -> dict[str, Tensor]:
        """Return the memories."""
        named = zip(DIRECTIONS, self.memories, strict=True)
        return {f"{name}/{kind}": getattr(memory, kind) for name, memory in named for kind in ("states", "kept")}
