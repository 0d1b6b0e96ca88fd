"""The pretraining objectives that Song et al. 2019 (arXiv 1905.02450 §4.5) set beside MASS: its two ablations, a
denoising autoencoder, and BERT for the encoder with a language model for the decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daguan.core.seeds import stream
from daguan.data.batches.fragments import Fragments, cut_fragments, fragment_length
from daguan.data.batches.masking import Ids, Masked, MaskingSettings, mask, replacements
from daguan.data.vocabulary import MASK
from daguan.models.pretraining_heads import FragmentLm
from daguan.training.objectives.base import Objective, Plan
from daguan.training.objectives.fragments import FragmentObjective

BLANKED = 0.1  # share of the places that the autoencoder's input lacks (Lample et al. 2018, arXiv 1711.00043 §2.3)
SHUFFLED = 3  # no token of it is this far from its place or farther
MASKED_BY_BERT = 0.15


class DiscreteObjective(FragmentObjective):
    """`discrete`: as many places as MASS masks, but scattered over the row.

    The decoder still reads the true token before each place, whether the encoder sees it or not.
    """

    def batch(self, update: int) -> Fragments:
        ids, rng = self.plan.blocks.take(self.order.of(update)), stream(self.plan.seed, "mask", update)
        settings = self.plan.settings
        return scattered(ids, settings.fragment, self.plan.vocabulary_size, settings.masking, rng)


def scattered(
    ids: Ids, share: float, vocabulary_size: int, settings: MaskingSettings, rng: np.random.Generator
) -> Fragments:
    """Masks as many places of each row (B,T) as `cut_fragments` does, at random places after [CLS]."""
    count = fragment_length(ids.shape[1], share)
    order = rng.random((len(ids), ids.shape[1] - 1)).argsort(axis=1, kind="stable")
    positions = np.sort(order[:, :count] + 1, axis=1)
    labels = np.take_along_axis(ids, positions, axis=1)
    fed = np.take_along_axis(ids, positions - 1, axis=1)
    inputs = ids.copy()
    np.put_along_axis(inputs, positions, replacements(labels, vocabulary_size, settings, rng), axis=1)
    return Fragments(inputs, positions, labels, fed)


class FedObjective(FragmentObjective):
    """`feed`: the decoder reads the whole row, not the fragment alone, so that it need not rely on the encoder."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        assert isinstance(self.model, FragmentLm)
        self.model = FedLm(self.model.lm).to(plan.device)

    def batch(self, update: int) -> Fragments:
        ids = self.plan.blocks.take(self.order.of(update))
        return replace(super().batch(update), fed=ids)

    def _held_out_part(self, ids: Ids, low: int) -> Fragments:
        return replace(super()._held_out_part(ids, low), fed=ids)


class FedLm(FragmentLm):
    """An encoder and a decoder that reads all tokens of the row before a place."""

    def forward(self, inputs: Tensor, fed: Tensor, positions: Tensor) -> Tensor:
        """Return logits (B·M,V) at positions (B,M) from inputs (B,T) and the row itself, fed (B,T)."""
        model = self.lm.model
        states = model.modern(inputs).last_hidden_state
        blocked = (inputs == MASK)[:, None, None]
        places = torch.arange(fed.shape[1], device=fed.device).expand_as(fed)
        written = model.decoder(model.modern.embed(fed), places, states, blocked)
        chosen = written.gather(1, (positions - 1).unsqueeze(2).expand(-1, -1, written.shape[2]))
        logits: Tensor = model.predict(chosen).flatten(0, 1)
        return logits


class DenoisingObjective(FragmentObjective):
    """`dae`: the decoder writes the whole row, of which the encoder reads a noisy copy (Vincent et al. 2008): tokens a
    little out of place, a tenth of them blank."""

    def batch(self, update: int) -> Fragments:
        ids, rng = self.plan.blocks.take(self.order.of(update)), stream(self.plan.seed, "mask", update)
        whole = cut_fragments(ids, 1.0, self.plan.vocabulary_size, self.plan.settings.masking, rng)
        return replace(whole, inputs=noisy(ids, rng))


def noisy(ids: Ids, rng: np.random.Generator) -> Ids:
    """Returns rows (B,T) with tokens shuffled over distances under SHUFFLED and BLANKED of the places as [MASK]; [CLS]
    stays."""
    keys = np.arange(ids.shape[1] - 1) + rng.random((len(ids), ids.shape[1] - 1)) * SHUFFLED
    moved = np.take_along_axis(ids[:, 1:], keys.argsort(axis=1, kind="stable"), axis=1)
    blank = rng.random(moved.shape) < BLANKED
    return np.concatenate([ids[:, :1], np.where(blank, MASK, moved)], axis=1)


class SeparateObjective(FragmentObjective):
    """`bert-lm`: the encoder is a masked language model, the decoder a language model that reads no encoder."""

    measured = "mlm"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        assert isinstance(self.model, FragmentLm)
        self.model = SeparateLm(self.model.lm).to(plan.device)

    def batch(self, update: int) -> Fragments:
        ids, rng = self.plan.blocks.take(self.order.of(update)), stream(self.plan.seed, "mask", update)
        settings = self.plan.settings.masking.replace(rate=MASKED_BY_BERT)
        masked = mask(ids, self.plan.vocabulary_size, settings, rng)
        return Fragments(masked.inputs, masked.positions, masked.labels, ids)

    def loss(self, model: nn.Module, part: Masked) -> Tensor:
        """Return the share of the sum of both mean losses."""
        assert isinstance(part, Fragments)
        logits, labels = self.guess_tokens(model, part)
        (read,) = self.plan.tensors(part.fed)
        with self.plan.autocast():
            following: Tensor = cast(SeparateLm, model).read_on(read[:, :-1])
        of_decoder = cross_entropy(following.float(), read[:, 1:].flatten(), reduction="sum")
        return self.loss_of_tokens(logits, labels) + of_decoder / (self.plan.rows * (read.shape[1] - 1))

    def _held_out_part(self, ids: Ids, low: int) -> Fragments:
        masked = self.plan.mask_held_out(ids, low)
        return Fragments(masked.inputs, masked.positions, masked.labels, ids)


class SeparateLm(FragmentLm):
    """An encoder and a decoder that learn side by side."""

    def forward(self, inputs: Tensor, fed: Tensor, positions: Tensor) -> Tensor:
        """Return the encoder's logits (B·M,V) at positions (B,M) of inputs (B,T)."""
        states = self.lm.model.modern(inputs).last_hidden_state
        chosen = states.gather(1, positions.unsqueeze(2).expand(-1, -1, states.shape[2]))
        logits: Tensor = self.lm.model.predict(chosen).flatten(0, 1)
        return logits

    def read_on(self, ids: Tensor) -> Tensor:
        """Return the decoder's logits (B·T,V) of the token after each of ids (B,T); it sees states of zeros."""
        model = self.lm.model
        embedded = model.modern.embed(ids)
        places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        seen = torch.zeros_like(ids, dtype=torch.bool)[:, None, None]
        logits: Tensor = model.predict(model.decoder(embedded, places, torch.zeros_like(embedded), seen)).flatten(0, 1)
        return logits


OBJECTIVES: dict[str, Callable[[Plan], Objective]] = {
    "discrete": DiscreteObjective,
    "feed": FedObjective,
    "dae": DenoisingObjective,
    "bert-lm": SeparateObjective,
}
