"""The settings of a tagger: which encoder and head, and how both are regularised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daguan.core.settings import Need, require
from daguan.core.tables import readers_of
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS

LSTM = "lstm_"
TOGETHER = "+"


AVERAGES = ("losses", "logits")
TRAINING_ONLY = (
    "encoder_dropout", "dropout", "token_dropout", "ngram_dropout", "dropout_samples", "dropout_average",
    "label_smoothing", "boundary_smoothing", "boundary_distance", "r_drop",
)  # fmt: skip  # neither shapes nor answers depend on these


def _of_heads(setting: str) -> Need[ModelSettings]:
    readers = readers_of(HEADS, setting)
    return Need(
        setting, f"model.head has {' or '.join(readers)}", lambda made: any(head in readers for head in made.scorers)
    )


@dataclass(frozen=True)
class ModelSettings:
    """encoder, head: names from the tables. A head is softmax, crf (Lafferty et al. 2001), span (starts, then stops
    told of them, as rank 9's), biaffine (Yu et al. 2020, arXiv 2005.07150), global_pointer (the efficient one of Su et
    al. 2022, arXiv 2208.03054), pointer (Vinyals et al. 2015, arXiv 1506.03134) or seq2seq; `lstm_` before it puts a
    BiLSTM below it (Huang et al. 2015, arXiv 1508.01991), and several joined by + share the encoder (losses added,
    marginals averaged). lstm_hidden: width of the BiLSTM each way; lstm_layers: how many. pointer_size: width of the
    vectors that biaffine and global_pointer compare, and of pointer's decoder. decoder_layers: of seq2seq's decoder,
    which starts from that of an encoder pretrained by mass. beam: answers that pointer and seq2seq keep in prediction.
    encoder_dropout: inside the encoder; dropout: before the last layer, and before the BiLSTM; token_dropout: tokens
    read as [MASK] (word dropout, Iyyer et al. 2015) (all three in tagging only). ngram_buckets: rows of a hashed table
    of n-gram features that adds to the scores (Cheng et al. 2016, arXiv 1606.07792), 0 for none; ngram_dropout:
    features left out in training.

    dropout_samples: masks of the last dropout, drawn on the same features; dropout_average: over their losses (Inoue
    2019, arXiv 1905.09788 §3) or their logits (as rank 9 does: the noise of one mask, its variance divided by the
    number). label_smoothing: share of a label's mass given to all of its head's classes (Szegedy et al. 2016, arXiv
    1512.00567 §7), for softmax, crf (the exact soft-target form), span, pointer. boundary_smoothing: share of a
    span's mass given to spans up to boundary_distance off (Zhu & Li 2022, arXiv 2204.12031), for biaffine. r_drop:
    weight of the divergence between two passes with different dropouts (Wu et al. 2021, arXiv 2106.14448), which
    doubles the cost."""

    encoder: str = "bert"
    head: str = "lstm_crf"
    lstm_hidden: int = 128
    lstm_layers: int = 1
    pointer_size: int = 64
    decoder_layers: int = 2
    beam: int = 4
    encoder_dropout: float = 0.1
    dropout: float = 0.3
    token_dropout: float = 0.1
    ngram_buckets: int = 0
    ngram_dropout: float = 0.3
    dropout_samples: int = 1
    dropout_average: str = "losses"
    label_smoothing: float = 0.0
    boundary_smoothing: float = 0.0
    boundary_distance: int = 1
    r_drop: float = 0.0
    NEEDS: ClassVar[tuple[Need[ModelSettings], ...]] = (
        # not lstm_hidden, lstm_layers and ngram_dropout, which presets set
        *map(_of_heads, dict.fromkeys(name for row in HEADS.values() for name in row.reads)),
        Need("boundary_distance", "model.boundary_smoothing is over 0", lambda made: made.boundary_smoothing > 0),
        Need("dropout_samples", "model.dropout is over 0", lambda made: made.dropout > 0),
        Need("dropout_average", "model.dropout_samples is over 1", lambda made: made.dropout_samples > 1),
    )

    def __post_init__(self) -> None:
        require("encoder", self.encoder in ENCODERS, " or ".join(ENCODERS), self.encoder)
        known = f"{' or '.join(HEADS)}, with {LSTM} before it or not, or several joined by {TOGETHER}"
        require("head", set(self.scorers) <= set(HEADS), known, self.head)
        for name in ("lstm_layers", "lstm_hidden", "decoder_layers", "beam", "dropout_samples", "boundary_distance"):
            require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        require("pointer_size", self.pointer_size % 2 == 0 < self.pointer_size, "an even number", self.pointer_size)
        require("ngram_buckets", self.ngram_buckets >= 0, "at least 0", self.ngram_buckets)
        for name in ("encoder_dropout", "dropout", "token_dropout", "ngram_dropout"):
            require(name, 0 <= getattr(self, name) < 1, "0 to 1", getattr(self, name))
        for name in ("label_smoothing", "boundary_smoothing"):
            require(name, 0 <= getattr(self, name) < 1, "0 to 1", getattr(self, name))
        require("dropout_average", self.dropout_average in AVERAGES, " or ".join(AVERAGES), self.dropout_average)
        require("r_drop", self.r_drop >= 0, "at least 0", self.r_drop)

    @property
    def heads(self) -> tuple[str, ...]:
        """One or several that share the encoder."""
        return tuple(self.head.split(TOGETHER))

    @property
    def scorers(self) -> tuple[str, ...]:
        """Of each head, the part above a BiLSTM."""
        return tuple(head.removeprefix(LSTM) for head in self.heads)
