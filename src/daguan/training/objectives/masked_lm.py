"""The masked language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daguan.data.batches.masking import Ids, Masked
from daguan.training.objectives.base import EVALUATION_ROWS, Measure, Objective, Order, Plan, Sums, sums_of_guesses


class MlmObjective(Objective):
    """`mlm`: the chosen places of whole blocks (RoBERTa, arXiv 1907.11692 §4.2, full sentences)."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.order = Order(self.train, plan.rows, plan.seed)

    def batch(self, update: int) -> Masked:
        items = self.order.of(update)
        ids = self.plan.blocks.take(items)
        if self.plan.settings.masking.static_masks:
            return self.plan.mask_statically(ids, items, self.order.epochs_of(update))
        return self.plan.mask(ids, update)

    def loss(self, model: nn.Module, part: Masked) -> Tensor:
        return self.loss_of_tokens(*self.guess_tokens(model, part))

    def loss_of_tokens(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the share () of the mean loss for logits (B·M,V) and labels (B,M)."""
        return cross_entropy(logits, labels.flatten(), reduction="sum") / (self.plan.rows * labels.shape[1])

    def guess_tokens(self, model: nn.Module, part: Masked) -> tuple[Tensor, Tensor]:
        """Return logits (B·M,V) and labels (B,M) of the chosen places."""
        inputs, positions, labels = self.plan.tensors(part.inputs, part.positions, part.labels)
        with self.plan.autocast():
            logits: Tensor = model(inputs, positions)
        return logits.float(), labels

    def evaluations(self) -> Iterator[tuple[Measure, Sequence[Masked]]]:
        yield self.measure, [self.plan.mask_held_out(ids, low) for low, ids in self.held_out_rows()]

    def held_out_rows(self) -> Iterator[tuple[int, Ids]]:
        for low in range(0, len(self.held_out), EVALUATION_ROWS):
            yield low, self.plan.blocks.take(self.held_out[low : low + EVALUATION_ROWS])

    def measure(self, model: nn.Module, part: Masked) -> dict[str, Sums]:
        """Return the sums of the part, by the name of the measure."""
        return {self.measured: sums_of_guesses(*self.guess_tokens(model, part))}
