"""The masked language model on rows of unequal lengths, with next sentences where they are pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daguan.core.seeds import stream
from daguan.data.batches.masking import Ids, Masked, MaskingSettings, mask
from daguan.data.vocabulary import PAD
from daguan.experiments.claims.input_formats import FORMATS, NO_PAIR, Document, Row, full_sentences
from daguan.models.encoders.loading import MaskedLm
from daguan.models.pretraining_heads import SentenceLm
from daguan.training.objectives.base import (
    EVALUATION_MASKING,
    EVALUATION_ROWS,
    Measure,
    Objective,
    Plan,
    Sums,
    sums_of_guesses,
)

NOTHING = NO_PAIR  # the label of no place, which cross_entropy ignores too
POOL = 16  # batches whose rows are sorted by length together


@dataclass(frozen=True)
class FormattedRows(Masked):
    """Masked rows of unequal lengths; `positions` and `labels` end with 0 and NOTHING.

    Attributes:
        pair_labels: (B,) whether the second segment is another text's; NOTHING for a row that is no pair.
        places, pairs: (B,) the numbers of masked places and of pairs in the whole batch, in every row.
    """

    pair_labels: Ids
    places: Ids
    pairs: Ids


class PaddedPairLm(SentenceLm):
    """A masked language model that also classifies pairs, on padded rows."""

    def forward(self, inputs: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of tokens (B·M,V) and of pairs (B,2) for inputs (B,T), 0 at padding, and positions (B,M)."""
        base = self.lm.model.base_model
        hidden = base(inputs, attention_mask=self.lm.architecture.attention_mask(base, inputs != PAD)).last_hidden_state
        pair: Tensor = self.classifier(torch.tanh(self.pooler(hidden[:, 0])))
        return self.lm.predict(hidden, positions), pair


class FormatObjective(Objective):
    """The masked language model on rows of one format, with next sentences where rows are pairs.

    Rows are padded to the longest of their batch. As in the paper, formats with short rows have more of them in a
    batch, so that all batches have about the same number of places with text. A tenth of the documents is held out; its
    loss is measured on full sentences, whatever the format.
    """

    def __init__(self, plan: Plan, documents: Sequence[Document], name: str) -> None:
        super().__init__(plan)
        assert isinstance(self.model, MaskedLm)
        self.model = PaddedPairLm(self.model).to(plan.device)
        self.format = FORMATS[name]
        order = stream(plan.seed, "held-out-documents").permutation(len(documents))
        count = max(1, len(documents) // 10)
        self.documents, self.unseen = ([documents[i] for i in part] for part in (order[count:], order[:count]))
        self._starts = [0]  # the first update of each epoch, and of the next one
        self._batches: list[list[Row]] = []  # of the last of these epochs

    def batch(self, update: int) -> FormattedRows:
        rows = self._rows(update)
        settings = self.plan.settings.masking.at(update, self.plan.updates)
        return self._masked(rows, settings, stream(self.plan.seed, "mask", update))

    def _rows(self, update: int) -> list[Row]:
        """Returns the rows of an update. Updates are asked for in order, but a new run may begin with any."""
        if len(self._starts) > 1 and update < self._starts[-2]:
            self._starts = [0]
        while update >= self._starts[-1]:
            self._batches = self._epoch(len(self._starts) - 1)
            self._starts.append(self._starts[-1] + len(self._batches))
        return self._batches[update - self._starts[-2]]

    def _epoch(self, epoch: int) -> list[list[Row]]:
        """Returns the batches of an epoch."""
        rng = stream(self.plan.seed, "format", epoch)
        rows = self.format(self.documents, self.plan.encoder.max_length, rng)
        return [[rows[i] for i in batch] for batch in batches_of([len(ids) for ids, _ in rows], self._most, rng)]

    @property
    def _most(self) -> int:
        """Returns the places with text in a batch."""
        return self.plan.rows * self.plan.encoder.max_length

    def _masked(self, rows: Sequence[Row], settings: MaskingSettings, rng: np.random.Generator) -> FormattedRows:
        masked = [mask(ids[None], self.plan.vocabulary_size, settings, rng) for ids, _ in rows]
        labels = _padded([one.labels[0] for one in masked], NOTHING)
        pairs = np.array([label for _, label in rows])
        counts = (np.full(len(rows), count) for count in ((labels != NOTHING).sum(), (pairs != NOTHING).sum()))
        positions = _padded([one.positions[0] for one in masked], 0)
        return FormattedRows(_padded([one.inputs[0] for one in masked], PAD), positions, labels, pairs, *counts)

    def loss(self, model: nn.Module, part: FormattedRows) -> Tensor:
        tokens, labels, pairs, pair_labels = self._guess(model, part)
        loss = cross_entropy(tokens, labels, reduction="sum") / int(part.places[0])
        if int(part.pairs[0]):
            loss = loss + cross_entropy(pairs, pair_labels, reduction="sum") / int(part.pairs[0])
        return loss

    def _guess(self, model: nn.Module, part: FormattedRows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return logits (B·M,V) and labels (B·M) of the masked places, logits (B,2) and labels (B,) of the pairs."""
        names = ("inputs", "positions", "labels", "pair_labels")
        inputs, positions, labels, pair_labels = self.plan.tensors(*(getattr(part, name) for name in names))
        with self.plan.autocast():
            tokens, pairs = model(inputs, positions)
        return tokens.float(), labels.flatten(), pairs.float(), pair_labels

    def evaluations(self) -> Iterator[tuple[Measure, Sequence[FormattedRows]]]:
        rows = full_sentences(self.unseen, self.plan.encoder.max_length, stream(self.plan.seed, "unused"))
        parts = []
        for low in range(0, len(rows), EVALUATION_ROWS):
            rng = stream(self.plan.seed, "held-out-mask", low)
            parts.append(self._masked(rows[low : low + EVALUATION_ROWS], EVALUATION_MASKING, rng))
        yield self.measure, parts

    def measure(self, model: nn.Module, part: FormattedRows) -> dict[str, Sums]:
        """Return the sums of the masked language model."""
        tokens, labels, _, _ = self._guess(model, part)
        there = labels != NOTHING
        return {"mlm": sums_of_guesses(tokens[there], labels[there])}


def batches_of(lengths: Sequence[int], most: int, rng: np.random.Generator) -> list[Ids]:
    """Returns the numbers of the rows of each batch, in random order: rows of similar length, `most` places together
    at most."""
    order = rng.permutation(len(lengths))
    sizes = np.array(lengths)
    pool = max(1, round(POOL * most / max(1.0, float(sizes.mean()))))
    batches: list[Ids] = []
    for low in range(0, len(order), pool):
        rows = order[low : low + pool]
        rows = rows[np.argsort(sizes[rows], kind="stable")]
        start = 0
        while start < len(rows):
            places, stop = 0, start
            while stop < len(rows) and (stop == start or places + sizes[rows[stop]] <= most):
                places += sizes[rows[stop]]
                stop += 1
            batches.append(rows[start:stop])
            start = stop
    return [batches[i] for i in rng.permutation(len(batches))]


def _padded(rows: Sequence[Ids], value: int) -> Ids:
    """Returns rows of unequal lengths as (B,longest), with `value` after their ends."""
    whole = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for row, ids in zip(whole, rows, strict=True):
        row[: len(ids)] = ids
    return whole
