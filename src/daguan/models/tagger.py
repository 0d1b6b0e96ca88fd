"""A tagger is an encoder and a head: `Tagger(encoder, head)`. The tables below name what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from daguan.batches.collate import Batch
from daguan.core.errors import CheckpointError
from daguan.core.settings import require
from daguan.models.encoder_settings import ENCODERS
from daguan.models.encoders import Encoder
from daguan.models.ngram_crf import TEMPLATES
from daguan.nn.crf import ConstrainedCrf
from daguan.nn.dropouts import ByteDropout, TokenDropout
from daguan.nn.lstm import BiLstm
from daguan.nn.ngrams import NgramEmissions
from daguan.text.tags import TagScheme
from daguan.text.vocabulary import MASK


@dataclass(frozen=True)
class ModelSettings:
    """encoder, head: names from the tables. lstm_hidden: width of the BiLSTM each way; lstm_layers: how many.
    encoder_dropout: inside the encoder; dropout: before and after the BiLSTM; token_dropout: tokens read as [MASK]
    (all three in tagging only). ngram_buckets: rows of a hashed table of n-gram features that adds to the emissions,
    0 for none; ngram_dropout: features left out in training."""

    encoder: str = "bert"
    head: str = "lstm_crf"
    lstm_hidden: int = 128
    lstm_layers: int = 1
    encoder_dropout: float = 0.1
    dropout: float = 0.3
    token_dropout: float = 0.1
    ngram_buckets: int = 0
    ngram_dropout: float = 0.3

    def __post_init__(self) -> None:
        require("encoder", self.encoder in ENCODERS, " or ".join(ENCODERS), self.encoder)
        require("head", self.head in HEADS, " or ".join(HEADS), self.head)
        require("lstm_layers", self.lstm_layers >= 1, "at least 1", self.lstm_layers)
        require("lstm_hidden", self.lstm_hidden >= 1, "at least 1", self.lstm_hidden)
        require("ngram_buckets", self.ngram_buckets >= 0, "at least 0", self.ngram_buckets)
        for name in ("encoder_dropout", "dropout", "token_dropout", "ngram_dropout"):
            require(name, 0 <= getattr(self, name) < 1, "0 to 1", getattr(self, name))


class CrfHead(nn.Module):
    """Emissions by one linear layer, and a CRF over them."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.dropout = ByteDropout(settings.dropout)
        self.emit = nn.Linear(width, len(scheme))
        self.crf = ConstrainedCrf(scheme)

    def features(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return hidden

    def emissions(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B,T,H), mask (B,T) → (B,T,K)."""
        emissions: Tensor = self.emit(self.dropout(self.features(hidden, mask)))
        return emissions


class LstmCrfHead(CrfHead):
    """The same with a BiLSTM and a layer norm below it, as rank 9 has them."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__(2 * settings.lstm_hidden, scheme, settings)
        self.below = ByteDropout(settings.dropout)
        self.lstm = BiLstm(width, settings.lstm_hidden, settings.lstm_layers, settings.dropout)
        self.norm = nn.LayerNorm(self.lstm.out_features)

    def features(self, hidden: Tensor, mask: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.lstm(self.below(hidden), mask))
        return normed


ENCODER = "encoder."
HEAD_FILE = "head.safetensors"
HEADS: dict[str, Callable[[int, TagScheme, ModelSettings], CrfHead]] = {"crf": CrfHead, "lstm_crf": LstmCrfHead}


def _ngrams(scheme: TagScheme, settings: ModelSettings) -> NgramEmissions | None:
    if not settings.ngram_buckets:
        return None
    return NgramEmissions(TEMPLATES, settings.ngram_buckets, len(scheme), settings.ngram_dropout)


class Tagger(nn.Module):
    """Tokens → loss in training, tag marginals in prediction."""

    def __init__(self, encoder: Encoder, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.token_dropout = TokenDropout(settings.token_dropout, MASK)
        self.encoder = encoder
        self.head = HEADS[settings.head](encoder.out_features, scheme, settings)
        self.ngrams = _ngrams(scheme, settings)

    def to_device(self, device: torch.device) -> Tagger:
        """Move there, each part in its fastest form for it."""
        self.encoder.to_device(device)
        return self.to(device)

    def loss(self, batch: Batch) -> Tensor:
        """The summed negative log-likelihood of an annotated batch → ()."""
        assert batch.tag_ids is not None
        return self.head.crf.loss(self._emissions(batch), batch.tag_ids, batch.mask)

    @torch.no_grad()
    def marginals(self, batch: Batch) -> Tensor:
        """(B,T,K) float32, 0 at padding."""
        return self.head.crf.marginals(self._emissions(batch), batch.mask)

    def _emissions(self, batch: Batch) -> Tensor:
        """(B,T,K) float32: what the encoder and head say, and the n-grams if there are any."""
        mask = batch.mask
        emissions: Tensor = self.head.emissions(self.encoder(self.token_dropout(batch.token_ids), mask), mask).float()
        return emissions if self.ngrams is None else emissions + self.ngrams(batch.token_ids)

    def save(self, folder: Path) -> None:
        """encoder/ in Hugging Face layout, and all the rest in head.safetensors beside it."""
        self.encoder.save(folder / "encoder")
        above = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(ENCODER)}
        save_file(above, folder / HEAD_FILE)

    def load_head(self, folder: Path) -> None:
        """What `save` wrote beside the encoder. Raises CheckpointError: not there, damaged, or of another shape."""
        try:
            above = load_file(folder / HEAD_FILE)
            missing, unexpected = self.load_state_dict(above, strict=False)
            if unexpected or any(not name.startswith(ENCODER) for name in missing):
                raise CheckpointError(f"{folder / HEAD_FILE}: expected the tagger's tensors, got others")
        except (OSError, SafetensorError, RuntimeError) as error:
            message = " ".join(str(error).split())
            raise CheckpointError(f"{folder / HEAD_FILE}: expected the tagger's head, got: {message}") from None
