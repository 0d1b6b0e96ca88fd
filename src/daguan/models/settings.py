"""The settings of a tagger: which encoder and head, and how both are regularised."""

from __future__ import annotations

from typing import Any, ClassVar

from daguan.core.needs import Need, Reader, over_zero
from daguan.core.settings import Section, require, setting
from daguan.core.tables import names_in, readers_of
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS

LSTM = "lstm_"
TOGETHER = "+"


NO_PIECES, FIRST, MEAN = "", "first", "mean"
POOLINGS = (NO_PIECES, FIRST, MEAN)
AVERAGES = ("losses", "logits")
TRAINING_ONLY = (
    "encoder_dropout", "dropout", "token_dropout", "ngram_dropout", "dropout_samples", "dropout_average",
    "label_smoothing", "boundary_smoothing", "boundary_distance", "r_drop",
)  # fmt: skip  # neither shapes nor answers depend on these


def _by_head(path: str) -> Need | None:
    """Returns the condition that some head reads the setting, unless all heads do."""
    readers = readers_of(HEADS, path.removeprefix("model."))
    words = f"model.head has {' or '.join(readers)}"
    return Need(words, lambda whole: any(head in readers for head in whole.model.scorers)) if readers else None


def _is_noisy(whole: Any) -> bool:
    """Returns whether two passes in training differ."""
    model, encoder = whole.model, whole.encoder
    ngrams = (model.ngram_buckets and model.ngram_dropout, encoder.ngram_buckets and encoder.ngram_dropout)
    return any((model.encoder_dropout, model.dropout, model.token_dropout, *ngrams))


class ModelSettings(Section):
    """A tagger: its encoder, its head, and how both are regularised."""

    READ_WHEN: ClassVar[tuple[Reader, ...]] = (_by_head,)  # lstm_hidden and lstm_layers, which presets set, always

    encoder: str = setting("bert", f"The encoder: {names_in(ENCODERS)}.", choices=ENCODERS)
    head: str = setting(
        "lstm_crf",
        f"The head: {names_in(HEADS)}. `lstm_` "
        "before the name puts a BiLSTM below it (Huang et al. 2015, arXiv 1508.01991); heads joined by + share the "
        "encoder (losses are added, marginals averaged).",
    )
    pieces: str = setting(
        NO_PIECES,
        "How vectors of a token's pieces become the token's: `first` takes that of the first piece, `mean` their mean. "
        "With it, encoder.checkpoint keeps its own tokenizer and vocabulary, and reads the words that `vocab.tsv` has "
        "for tokens; empty gives it our vocabulary.",
        choices=POOLINGS,
        reads_when=Need("encoder.checkpoint is given", lambda whole: bool(whole.encoder.checkpoint)),
    )
    lstm_hidden: int = setting(128, "Width of the BiLSTM in each direction.", ge=1)
    lstm_layers: int = setting(1, "Number of BiLSTM layers.", ge=1)
    pointer_size: int = setting(
        64,
        "Width of the vectors that biaffine and global_pointer compare, and of pointer's decoder.",
        gt=0,
        multiple_of=2,
    )
    decoder_layers: int = setting(
        2, "Layers of seq2seq's decoder, which starts from that of an encoder pretrained by mass.", ge=1
    )
    beam: int = setting(4, "Width of the beam search of pointer and seq2seq.", ge=1)
    encoder_dropout: float = setting(0.1, "Dropout inside the encoder, in tagging only.", ge=0, lt=1)
    dropout: float = setting(0.3, "Dropout before the last layer, and before the BiLSTM, in tagging only.", ge=0, lt=1)
    token_dropout: float = setting(
        0.1, "Share of tokens read as [MASK], in tagging only (word dropout, Iyyer et al. 2015).", ge=0, lt=1
    )
    ngram_buckets: int = setting(
        0,
        "Rows of a hashed table of n-gram features that adds to the scores (Cheng et al. 2016, arXiv 1606.07792); 0 "
        "for no table.",
        ge=0,
    )
    ngram_dropout: float = setting(0.3, "Share of these features left out in training.", ge=0, lt=1)
    dropout_samples: int = setting(
        1,
        "Number of masks of the last dropout, drawn on the same features.",
        ge=1,
        reads_when=over_zero("model.dropout"),
    )
    dropout_average: str = setting(
        "losses",
        "What is averaged over these masks: losses (Inoue 2019, arXiv 1905.09788 §3) or logits (as rank 9 does: the "
        "noise of one mask, its variance divided by their number).",
        choices=AVERAGES,
        reads_when=Need("model.dropout_samples is over 1", lambda whole: whole.model.dropout_samples > 1),
    )
    label_smoothing: float = setting(
        0.0,
        "Share of a label's mass spread over all classes of its head (Szegedy et al. 2016, arXiv 1512.00567 §7), for "
        "softmax, crf (the exact soft-target form), span and pointer.",
        ge=0,
        lt=1,
    )
    boundary_smoothing: float = setting(
        0.0,
        "Share of a span's mass spread over spans up to boundary_distance off (Zhu & Li 2022, arXiv 2204.12031), for "
        "biaffine.",
        ge=0,
        lt=1,
    )
    boundary_distance: int = setting(
        1, "Largest distance of these spans.", ge=1, reads_when=over_zero("model.boundary_smoothing")
    )
    r_drop: float = setting(
        0.0,
        "Weight of the divergence between two passes with different dropouts, α of equation 4 (R-Drop, Wu et al. 2021, "
        "arXiv 2106.14448), which doubles the cost. The official code's α is half of it: that code takes the mean of "
        "both passes' losses and leaves the divergence as it is.",
        ge=0,
        reads_when=Need("model.dropout or another dropout is over 0", _is_noisy),
    )

    def check(self) -> None:
        known = f"{' or '.join(HEADS)}, with {LSTM} before it or not, or several joined by {TOGETHER}"
        require("head", set(self.scorers) <= set(HEADS), known, self.head)

    @property
    def heads(self) -> tuple[str, ...]:
        """Returns the names of the heads that share the encoder."""
        return tuple(self.head.split(TOGETHER))

    @property
    def scorers(self) -> tuple[str, ...]:
        """Returns the name of each head's part above the BiLSTM."""
        return tuple(head.removeprefix(LSTM) for head in self.heads)
