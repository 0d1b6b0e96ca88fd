"""The size of an encoder, whatever its architecture."""

from __future__ import annotations

from dataclasses import dataclass

from daguan.core.settings import require

ENCODERS = ("bert", "modern")
INITIALISATIONS = ("ngram", "normal")


@dataclass(frozen=True)
class EncoderSettings:
    """layers, hidden, heads, feed_forward: the size, in BERT's terms (a gated feed-forward takes a width with as many
    parameters). max_length: positions, [CLS] and [SEP] included; also the length of a pretraining block.
    initialisation, of BERT: `ngram` (see `initialise_ngram`) or `normal`. initial_std: the standard deviation of
    initial weights."""

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    feed_forward: int = 1024
    max_length: int = 128
    initialisation: str = "ngram"
    initial_std: float = 0.02

    def __post_init__(self) -> None:
        require("layers", self.layers >= 1, "at least 1", self.layers)
        require("heads", self.heads >= 1, "at least 1", self.heads)
        require(
            "hidden",
            self.hidden % (2 * self.heads) == 0 < self.hidden,
            "an even multiple of encoder.heads",
            self.hidden,
        )
        require("feed_forward", self.feed_forward >= 1, "at least 1", self.feed_forward)
        require("max_length", self.max_length % 16 == 0 < self.max_length, "a multiple of 16", self.max_length)
        require("initialisation", self.initialisation in INITIALISATIONS, "ngram or normal", self.initialisation)
        enough = self.heads >= 2 or self.initialisation != "ngram"  # one head's width is kept for positions
        require("heads", enough, "at least 2 with encoder.initialisation=ngram", self.heads)
        require("initial_std", self.initial_std > 0, "over 0", self.initial_std)

    @property
    def window(self) -> int:
        """Tokens of a line that fit: the positions without [CLS] and [SEP]."""
        return self.max_length - 2
