"""A tagger is an encoder and one or more heads, chosen by name from the table in heads/table.py."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.data.batches.collate import Batch
from daguan.data.ngram_templates import TEMPLATES
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import MASK
from daguan.models.encoders.loading import Encoder
from daguan.models.encoders.pieces import dropped_pieces, pooled
from daguan.models.heads.base import Head, divergence, mean_of
from daguan.models.heads.table import HEADS
from daguan.models.settings import LSTM, ModelSettings
from daguan.nn.dropouts import ByteDropout, TokenDropout
from daguan.nn.lstm import BiLstm
from daguan.nn.ngrams import NgramEmissions

ENCODER = "encoder."
HEAD_FILE = "head.safetensors"


def new_head(name: str, width: int, scheme: TagScheme, settings: ModelSettings) -> Head:
    """Return a new head, the row `name` of the table, for features (B,T,width)."""
    head: Head = HEADS[name].load()(width, scheme, settings)
    return head


class HeadStack(nn.Module):
    """A head with the layers between it and the encoder: a BiLSTM with a layer norm if its name starts with `lstm_`, as
    in rank 9's models; the last dropout; and n-gram features, which are added to its scores."""

    def __init__(self, name: str, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        recurrent = name.startswith(LSTM)
        self.lstm = BiLstmBlock(width, settings) if recurrent else None
        width = 2 * settings.lstm_hidden if recurrent else width
        self.head = new_head(name.removeprefix(LSTM), width, scheme, settings)
        self.dropout = ByteDropout(settings.dropout)
        self.samples, self.average = settings.dropout_samples, settings.dropout_average
        self.ngrams = _ngrams(self.head.extra_width, settings)

    def scores(self, hidden: Tensor, batch: Batch) -> list[Tensor]:
        """Return the head's scores of hidden states (B,T,H), in training once for each mask of the last dropout."""
        mask = batch.mask
        features = hidden if self.lstm is None else self.lstm(hidden, mask)
        extra = None if self.ngrams is None else self.ngrams(batch.token_ids)
        tags = batch.tag_ids if self.training else None
        count = self.samples if self.training else 1
        sampled = [self.head.scores(self.dropout(features), extra, tags, mask) for _ in range(count)]
        return [mean_of(sampled)] if self.average == "logits" else sampled

    def load_pretrained(self, folder: Path) -> None:
        """Load weights for the head from the encoder's checkpoint, unless there is a BiLSTM between them."""
        if self.lstm is None:
            self.head.load_pretrained(folder)

    def loss(self, scores: list[Tensor], batch: Batch) -> Tensor:
        assert batch.tag_ids is not None
        return mean_of([self.head.loss(sample, batch.tag_ids, batch.mask) for sample in scores])

    def divergence(self, one: list[Tensor], other: list[Tensor], batch: Batch) -> Tensor:
        """Return the divergence () between the head's local distributions in two passes."""
        return mean_of(
            [
                divergence(self._local_log_probs(a, batch), self._local_log_probs(b, batch))
                for a, b in zip(one, other, strict=True)
            ]
        )

    def _local_log_probs(self, scores: Tensor, batch: Batch) -> Tensor:
        assert batch.tag_ids is not None
        return self.head.local_log_probs(scores, batch.tag_ids, batch.mask)


class BiLstmBlock(nn.Module):
    """Dropout, a BiLSTM and a layer norm."""

    def __init__(self, width: int, settings: ModelSettings) -> None:
        super().__init__()
        self.dropout = ByteDropout(settings.dropout)
        self.lstm = BiLstm(width, settings.lstm_hidden, settings.lstm_layers, settings.dropout)
        self.norm = nn.LayerNorm(self.lstm.out_features)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B,T,H), mask (B,T) → (B,T,2·lstm_hidden)."""
        normed: Tensor = self.norm(self.lstm(self.dropout(hidden), mask))
        return normed


def _ngrams(width: int, settings: ModelSettings) -> NgramEmissions | None:
    if not settings.ngram_buckets:
        return None
    return NgramEmissions(TEMPLATES, settings.ngram_buckets, width, settings.ngram_dropout)


class CastEncoder(nn.Module):
    """An encoder that computes in one data type alone."""

    def __init__(self, encoder: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.encoder = encoder.to(dtype)

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Return what the encoder returns, computed without autocast."""
        with torch.autocast(token_ids.device.type, enabled=False):
            hidden: Tensor = self.encoder(token_ids, mask)
        return hidden


class Tagger(nn.Module):
    """An encoder and one or more heads: tokens → a loss in training, tag marginals in prediction."""

    def __init__(self, encoder: Encoder, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.token_dropout = TokenDropout(settings.token_dropout, MASK)
        self.encoder = encoder
        self.heads = nn.ModuleList(HeadStack(name, encoder.out_features, scheme, settings) for name in settings.heads)
        self.r_drop, self.pieces = settings.r_drop, settings.pieces

    def for_prediction(self, dtype: torch.dtype) -> Tagger:
        """Return itself for float32, else a copy whose encoder computes in that type, without the casts of autocast."""
        self.eval()
        if dtype == torch.float32:
            return self
        copy = deepcopy(self)
        copy.encoder = cast(Encoder, CastEncoder(copy.encoder, dtype))
        return copy

    @property
    def stacks(self) -> list[HeadStack]:
        return cast(list[HeadStack], list(self.heads))

    def scores_per_row(self, length: int) -> int:
        """Return the number of scores a row needs in the head that makes most of them, at least 1."""
        return max(1, *(stack.head.scores_per_row(length) for stack in self.stacks))

    def to_device(self, device: torch.device) -> Tagger:
        """Move to the device, with the implementation of attention that is fastest there."""
        self.encoder.to_device(device)
        return self.to(device)

    def loss(self, batch: Batch) -> Tensor:
        """Return the negative log-likelihood () of an annotated batch, summed over lines and heads.

        With R-Drop this is the mean of two passes plus r_drop/2 times the divergence of their local distributions:
        half of the paper's loss, which adds the passes.
        """
        first = self._scores(batch)
        loss = self._loss_of(first, batch)
        if not (self.r_drop and self.training):
            return loss
        second = self._scores(batch)
        apart = [
            head.divergence(one, other, batch) for head, one, other in zip(self.stacks, first, second, strict=True)
        ]
        return 0.5 * (loss + self._loss_of(second, batch) + self.r_drop * torch.stack(apart).sum())

    @torch.no_grad()
    def marginals(self, batch: Batch) -> Tensor:
        """Return the mean of the heads' marginals, (B,T,K) float32, 0 at padding."""
        scores = self._scores(batch)
        answers = [stack.head.marginals(of[0], batch.mask) for stack, of in zip(self.stacks, scores, strict=True)]
        return mean_of(answers)

    def _scores(self, batch: Batch) -> list[list[Tensor]]:
        """Return the scores of each head for each mask of its last dropout."""
        hidden = self._hidden(batch)
        return [stack.scores(hidden, batch) for stack in self.stacks]

    def _hidden(self, batch: Batch) -> Tensor:
        """Return the vectors of tokens (B,T,H)."""
        token_ids, rows = self.token_dropout(batch.token_ids), batch.pieces
        if rows is None:
            hidden: Tensor = self.encoder(token_ids, batch.mask)
            return hidden
        return pooled(self.encoder(dropped_pieces(rows, token_ids == MASK, MASK), rows.mask), rows, self.pieces)

    def _loss_of(self, scores: list[list[Tensor]], batch: Batch) -> Tensor:
        return torch.stack([stack.loss(of, batch) for stack, of in zip(self.stacks, scores, strict=True)]).sum()

    def load_pretrained(self, folder: Path) -> None:
        """Load the weights that the encoder's checkpoint holds for the heads. Raises CheckpointError."""
        for stack in self.stacks:
            stack.load_pretrained(folder)

    def save(self, folder: Path) -> None:
        """Write the encoder to encoder/ in Hugging Face layout and all other weights to head.safetensors."""
        self.encoder.save(folder / "encoder")
        above = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(ENCODER)}
        save_file(above, folder / HEAD_FILE)

    def load_head(self, folder: Path) -> None:
        """Load head.safetensors. Raises CheckpointError: it is missing, damaged, or of other shapes."""
        try:
            above = load_file(folder / HEAD_FILE)
            missing, unexpected = self.load_state_dict(above, strict=False)
            if unexpected or any(not name.startswith(ENCODER) for name in missing):
                raise CheckpointError(f"{folder / HEAD_FILE}: expected the tagger's tensors, got others")
        except (OSError, SafetensorError, RuntimeError) as error:
            message = " ".join(str(error).split())
            raise CheckpointError(f"{folder / HEAD_FILE}: expected the tagger's head, got: {message}") from None
