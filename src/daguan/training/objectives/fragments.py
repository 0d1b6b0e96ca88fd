"""MASS as a pretraining objective: an encoder reads the text without a fragment, a decoder predicts the fragment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from daguan.core.seeds import stream
from daguan.data.batches.fragments import Fragments, cut_fragments
from daguan.data.batches.masking import Ids, Masked
from daguan.models.encoders.loading import MaskedLm
from daguan.models.pretraining_heads import FragmentLm
from daguan.training.objectives.base import EVALUATION_MASKING, Measure, Plan
from daguan.training.objectives.masked_lm import MlmObjective

EVALUATION_FRAGMENT = 0.5  # the same for all runs, so that losses can be compared


class FragmentObjective(MlmObjective):
    """`mass`: predicts the tokens of a fragment of each block, each from those before it and from the rest of the block
    (Song et al. 2019, arXiv 1905.02450 §3.2)."""

    measured = "mass"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        assert isinstance(self.model, MaskedLm)
        self.model = FragmentLm(self.model).to(plan.device)

    def batch(self, update: int) -> Fragments:
        settings = self.plan.settings
        ids, rng = self.plan.blocks.take(self.order.of(update)), stream(self.plan.seed, "mask", update)
        return cut_fragments(ids, settings.fragment, self.plan.vocabulary_size, settings.masking, rng)

    def guess_tokens(self, model: nn.Module, part: Masked) -> tuple[Tensor, Tensor]:
        assert isinstance(part, Fragments)
        inputs, positions, labels, fed = self.plan.tensors(part.inputs, part.positions, part.labels, part.fed)
        with self.plan.autocast():
            logits: Tensor = model(inputs, fed, positions)
        return logits.float(), labels

    def evaluations(self) -> Iterator[tuple[Measure, Sequence[Masked]]]:
        yield self.measure, [self._held_out_part(ids, low) for low, ids in self.held_out_rows()]

    def _held_out_part(self, ids: Ids, low: int) -> Fragments:
        rng = stream(self.plan.seed, "held-out-mask", low)
        return cut_fragments(ids, EVALUATION_FRAGMENT, self.plan.vocabulary_size, EVALUATION_MASKING, rng)
