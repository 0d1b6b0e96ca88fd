"""The size of an encoder, whatever its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daguan.core.settings import Need, require

INITIALISATIONS = ("ngram", "normal")
WIDTH = 128  # of embeddings narrower than the layers: ALBERT's best under sharing (arXiv 1909.11942 table 3)


@dataclass(frozen=True)
class EncoderSettings:
    """layers, hidden, heads, feed_forward: the size, in BERT's terms (a gated feed-forward takes a width with as many
    parameters; lstm and cnn have no heads and no feed-forward; each direction of transformer_xl has half of the widths
    and all of the heads). max_length: positions, [CLS] and [SEP] included; also
    the length of a pretraining block. initialisation, of bert and roberta: `ngram` (see `initialise_ngram`) or
    `normal`. initial_std: the standard deviation of initial weights.

    embedding_size, of albert, electra, lstm and cnn: width of the token embeddings, 0 for 128. groups, of albert: so
    many sets of weights are shared by the layers in equal parts (Lan et al. 2020, arXiv 1909.11942 §3.1); 1 shares one.
    ngram_buckets, of lstm and cnn: rows of a hashed table of embeddings of the bigrams and trigrams around a token, 0
    for none; ngram_size: its width; ngram_dropout: n-grams left out in training, without which they overfit. kernel,
    of cnn: places a convolution reads, an odd number; lstm_layers, of cnn: BiLSTMs on top. decoder_layers, of mass: of
    the decoder that its pretraining puts on the encoder. memory, of transformer_xl:
    places before a segment that it reads in pretraining (Dai et al. 2019, arXiv 1901.02860 §3.2); same_length: whether
    each place reads as many as that, not the earlier ones of its segment too; clamp: distances over it read as it, 0
    for none.

    checkpoint, of those that are pretrained: a folder in Hugging Face layout of the same type to start from; it decides
    the sizes. With model.encoder=auto, which needs one, it may be of any type that transformers has with a masked-LM
    head and that ignores padding (distilbert, xlm-roberta, camembert, deberta-v2, ernie, mpnet, modernbert …). counts:
    a file of lines `token<TAB or space>count`, spelt as in the checkpoint's vocabulary: the n-th most frequent token of
    ours takes the embedding of the n-th there (as in the DaGuan cup of 2021); without it a token takes that of the
    token spelt like it, as between our own checkpoints."""

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    feed_forward: int = 1024
    max_length: int = 128
    initialisation: str = "ngram"
    initial_std: float = 0.02
    embedding_size: int = 0
    groups: int = 1
    ngram_buckets: int = 0
    ngram_size: int = 32
    ngram_dropout: float = 0.5
    kernel: int = 3
    lstm_layers: int = 0
    decoder_layers: int = 2
    memory: int = 64
    same_length: bool = False
    clamp: int = 0
    checkpoint: str = ""
    counts: str = ""
    NEEDS: ClassVar[tuple[Need[EncoderSettings], ...]] = (
        Need("ngram_size", "encoder.ngram_buckets is over 0", lambda made: made.ngram_buckets > 0),
        Need("ngram_dropout", "encoder.ngram_buckets is over 0", lambda made: made.ngram_buckets > 0),
        Need("same_length", "encoder.memory is over 0", lambda made: made.memory > 0),
        Need("counts", "encoder.checkpoint is given", lambda made: bool(made.checkpoint)),
    )

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "feed_forward", "ngram_size"):
            require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        require(
            "hidden",
            self.hidden % (2 * self.heads) == 0 < self.hidden,
            "an even multiple of encoder.heads",
            self.hidden,
        )
        require("max_length", self.max_length % 16 == 0 < self.max_length, "a multiple of 16", self.max_length)
        require("initialisation", self.initialisation in INITIALISATIONS, "ngram or normal", self.initialisation)
        enough = self.heads >= 2 or self.initialisation != "ngram"  # one head's width is kept for positions
        require("heads", enough, "at least 2 with encoder.initialisation=ngram", self.heads)
        require("initial_std", self.initial_std > 0, "over 0", self.initial_std)
        self._require_of_some()

    def _require_of_some(self) -> None:
        """What only some encoders read."""
        require("groups", 1 <= self.groups <= self.layers, "1 to encoder.layers", self.groups)
        for name in ("embedding_size", "ngram_buckets", "lstm_layers", "memory", "clamp"):
            require(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        require("decoder_layers", self.decoder_layers >= 1, "at least 1", self.decoder_layers)
        require("ngram_dropout", 0 <= self.ngram_dropout < 1, "0 to 1", self.ngram_dropout)
        require("kernel", self.kernel % 2 == 1 <= self.kernel, "an odd number", self.kernel)

    @property
    def window(self) -> int:
        """Tokens of a line that fit: the positions without [CLS] and [SEP]."""
        return self.max_length - 2

    @property
    def width(self) -> int:
        """Of the token embeddings where they are narrower than the layers."""
        return self.embedding_size or WIDTH
