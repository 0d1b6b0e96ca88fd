"""The interface of pretraining objectives.

All objectives hold out the same blocks. The measures `mlm` and `generator` are a masked language model's loss under the
same masks, so they compare across runs; `mass` is a decoder's loss for the same fragments, so it compares among runs of
that objective.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daguan.core.seeds import stream
from daguan.data.batches.masking import Ids, Masked, MaskingSettings, Rows, mask, mask_statically
from daguan.data.batches.packing import Blocks
from daguan.models.encoders.loading import MaskedLm, Trained
from daguan.models.encoders.settings import EncoderSettings
from daguan.training.devices import autocast, find_device
from daguan.training.engine_settings import EngineSettings
from daguan.training.pretrain_settings import PretrainSettings

EVALUATION_ROWS = 16
EVALUATION_MASKING = MaskingSettings()  # the same for all runs, so that losses can be compared


@dataclass(frozen=True)
class Plan:
    """The inputs of an objective: the encoder, the text, the settings of `pretrain`; `rows` is the blocks an update."""

    architecture: str
    encoder: EncoderSettings
    blocks: Blocks
    vocabulary_size: int
    settings: PretrainSettings
    rows: int
    updates: int
    seed: int
    engine: EngineSettings

    def new_lm(self) -> MaskedLm:
        return self.prepared(MaskedLm(self.architecture, self.encoder, self.vocabulary_size))

    def prepared(self, lm: MaskedLm) -> MaskedLm:
        """Returns the language model with the dropout of pretraining, on the device."""
        if self.settings.dropout:
            lm.set_dropout(self.settings.dropout)
        return lm.to_device(self.device)

    @property
    def device(self) -> torch.device:
        return find_device(self.engine)

    def autocast(self) -> AbstractContextManager[None]:
        return autocast(self.engine)

    def mask(self, ids: Ids, update: int) -> Masked:
        """Mask the rows (B,T) of an update by the update's own random stream."""
        settings = self.settings.masking.at(update, self.updates)
        return mask(ids, self.vocabulary_size, settings, stream(self.seed, "mask", update))

    def mask_statically(self, ids: Ids, items: Ids, epochs: Ids) -> Masked:
        """Mask the rows (B,T) of items (B,) in epochs (B,) by the masks that each item has for the whole run."""
        settings = self.settings.masking
        numbers = zip(items.tolist(), (epochs % settings.static_masks).tolist(), strict=True)
        rngs = (stream(self.seed, "static-mask", item, number) for item, number in numbers)
        return mask_statically(ids, self.vocabulary_size, settings, rngs)

    def mask_held_out(self, ids: Ids, low: int) -> Masked:
        """Mask rows (B,T) of the held-out text from number `low` on, always in the same way."""
        return mask(ids, self.vocabulary_size, EVALUATION_MASKING, stream(self.seed, "held-out-mask", low))

    def tensors(self, *arrays: NDArray[Any]) -> list[Tensor]:
        """Returns arrays, or the tensors of pinned rows, as tensors on the device."""
        return [torch.as_tensor(array).to(self.device, non_blocking=True) for array in arrays]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Mean loss (nats) and accuracy over the places or pairs of the held-out text."""

    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Sums:
    """The summed loss, the number of right guesses and the number of guesses, which add over batches."""

    loss: float = 0.0
    hits: int = 0
    count: int = 0

    @classmethod
    def of(cls, losses: Tensor, right: Tensor) -> Sums:
        """Return the sums of losses, single ones (…) or their sum, and of whether each guess (…) is right."""
        return cls(losses.sum().item(), int(right.sum()), right.numel())

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.loss + other.loss, self.hits + other.hits, self.count + other.count)

    @property
    def mean(self) -> HeldOut:
        return HeldOut(self.loss / self.count, self.hits / self.count)


Measure = Callable[[nn.Module, Any], dict[str, Sums]]


class Order:
    """Chooses the items of each update: `rows` of them, in a new order in each epoch."""

    def __init__(self, items: Ids, rows: int, seed: int) -> None:
        self.items, self.rows, self.seed = items, rows, seed
        self._epoch = -1
        self._order = items[:0]

    def of(self, update: int) -> Ids:
        """Returns the items of an update."""
        epochs, within = self._places(update)
        return self.items[[self._shuffled(int(epoch))[i] for epoch, i in zip(epochs, within, strict=True)]]

    def epochs_of(self, update: int) -> Ids:
        """Returns the epoch, from 0, of each item of an update."""
        return self._places(update)[0]

    def _places(self, update: int) -> tuple[Ids, Ids]:
        """Returns the epochs of an update's items, and their places in these epochs."""
        return np.divmod(np.arange(update * self.rows, (update + 1) * self.rows), len(self.items))

    def _shuffled(self, epoch: int) -> Ids:
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = stream(self.seed, "block-order", epoch).permutation(len(self.items))
        return self._order


class Objective(ABC):
    """What a model learns in pretraining.

    Attributes:
        model: the encoder with its pretraining-only parts.
        train: the numbers of the blocks, or of the pairs, to train on.
        held_out: the numbers of the held-out blocks.
    """

    model: Trained
    measured = "mlm"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.model = plan.new_lm()
        self.train, self.held_out = plan.blocks.split(plan.seed)

    @abstractmethod
    def batch(self, update: int) -> Rows:
        """Return the batch of an update; the loop splits it into parts."""

    @abstractmethod
    def loss(self, model: nn.Module, part: Any) -> Tensor:
        """Return the part's share () of the update's mean loss, computed by a replica of the model."""

    @abstractmethod
    def evaluations(self) -> Iterator[tuple[Measure, Sequence[Rows]]]:
        """Return the measures, each with the parts of the held-out text on which it is taken."""

    def gather(self) -> None:
        """Bring what each rank carries of `state` to all ranks."""
        return

    def state(self) -> dict[str, Tensor]:
        """Return the tensors, by name, that the objective carries from update to update; a checkpoint stores them and
        is loaded into the same tensors."""
        return {}


def sums_of_guesses(logits: Tensor, labels: Tensor) -> Sums:
    """Return the sums for logits (N,C) and N labels of any shape."""
    flat = labels.flatten()
    return Sums.of(cross_entropy(logits, flat, reduction="sum"), logits.argmax(1) == flat)
