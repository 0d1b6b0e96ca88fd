"""The size of an encoder, whatever its architecture."""

from __future__ import annotations

from typing import ClassVar

from daguan.core.needs import Need, Reader, by_row, over_zero
from daguan.core.settings import Section, require, setting
from daguan.models.encoders.table import ENCODERS

INITIALISATIONS = ("ngram", "normal")
WIDTH = 128  # of embeddings narrower than the layers: ALBERT's best under sharing (arXiv 1909.11942 table 3)


class EncoderSettings(Section):
    """The size of the encoder, in BERT's terms: a gated feed-forward takes a width with as many parameters; lstm and
    cnn have no heads and no feed-forward; each direction of transformer_xl has half of the widths and all of the
    heads."""

    READ_WHEN: ClassVar[tuple[Reader, ...]] = (by_row("model.encoder", ENCODERS),)

    layers: int = setting(4, "Number of layers.", ge=1)
    hidden: int = setting(256, "Width of the layers, an even multiple of encoder.heads.", ge=1)
    heads: int = setting(
        4, "Number of attention heads, at least 2 with initialisation=ngram, which gives positions one of them.", ge=1
    )
    feed_forward: int = setting(1024, "Width of the feed-forward layers.", ge=1)
    max_length: int = setting(
        128,
        "Number of positions, [CLS] and [SEP] included; also the length of a pretraining block.",
        gt=0,
        multiple_of=16,
    )
    initialisation: str = setting(
        "ngram",
        "Initial weights of bert and roberta: `ngram` (see `initialise_ngram`) or `normal`.",
        choices=INITIALISATIONS,
    )
    initial_std: float = setting(0.02, "Standard deviation of initial weights.", gt=0)
    embedding_size: int = setting(0, f"Width of the token embeddings; 0 for {WIDTH}.", ge=0)
    groups: int = setting(
        1,
        "Number of sets of weights that the layers share in equal parts (ALBERT, Lan et al. 2020, arXiv 1909.11942 "
        "§3.1); 1 shares one set among all layers.",
        ge=1,
    )
    ngram_buckets: int = setting(
        0, "Rows of a hashed table of embeddings of the bigrams and trigrams around a token; 0 for no table.", ge=0
    )
    ngram_size: int = setting(32, "Width of these embeddings.", ge=1, reads_when=over_zero("encoder.ngram_buckets"))
    ngram_dropout: float = setting(
        0.5,
        "Share of n-grams left out in training, without which they overfit.",
        ge=0,
        lt=1,
        reads_when=over_zero("encoder.ngram_buckets"),
    )
    kernel: int = setting(3, "Number of places that a convolution reads, an odd number.", ge=1)
    lstm_layers: int = setting(0, "Number of BiLSTM layers on top of the convolutions.", ge=0)
    decoder_layers: int = setting(2, "Layers of the decoder that pretraining by mass adds to the encoder.", ge=1)
    memory: int = setting(
        64,
        "Number of places before a segment that it reads in pretraining (Transformer-XL, Dai et al. 2019, arXiv "
        "1901.02860 §3.2).",
        ge=0,
    )
    same_length: bool = setting(
        False,
        "Whether each place reads exactly encoder.memory places, not also all earlier ones of its segment.",
        reads_when=over_zero("encoder.memory"),
    )
    clamp: int = setting(0, "Largest distance between two places: longer ones count as this one; 0 for no limit.", ge=0)
    checkpoint: str = setting(
        "",
        "A folder in Hugging Face layout of the same type to start from, which decides the sizes; or "
        "`hub:OWNER/NAME[@REVISION]`, which `prepare` fetches (docs/network.md). With "
        "model.encoder=auto, which needs one, it may be of any type that transformers has with a masked-LM head and "
        "that ignores padding (distilbert, xlm-roberta, camembert, deberta-v2, ernie, mpnet, modernbert …).",
        is_path=True,
    )
    counts: str = setting(
        "",
        "A file of lines `token<TAB or space>count`, spelt as in the checkpoint's vocabulary: the n-th most frequent "
        "token of ours takes the embedding of the n-th there (as in the DaGuan cup of 2021). Without it a token takes "
        "that of the token spelt the same, as between our own checkpoints.",
        is_path=True,
        reads_when=Need("encoder.checkpoint is given", lambda whole: bool(whole.encoder.checkpoint)),
    )

    def check(self) -> None:
        require("hidden", self.hidden % (2 * self.heads) == 0, "an even multiple of encoder.heads", self.hidden)
        enough = self.heads >= 2 or self.initialisation != "ngram"  # positions take one head's width
        require("heads", enough, "at least 2 with encoder.initialisation=ngram", self.heads)
        require("groups", self.groups <= self.layers, "1 to encoder.layers", self.groups)
        require("kernel", self.kernel % 2 == 1, "an odd number", self.kernel)

    @property
    def window(self) -> int:
        """Returns how many tokens of a line fit: the positions without [CLS] and [SEP]."""
        return self.max_length - 2

    @property
    def width(self) -> int:
        """Returns the width of the token embeddings where they are narrower than the layers."""
        return self.embedding_size or WIDTH
