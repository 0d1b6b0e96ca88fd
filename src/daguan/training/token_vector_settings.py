"""The settings of token vectors, apart so that they load without gensim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daguan.core.settings import Need, require

NO_VECTORS, WORD2VEC, FASTTEXT = "none", "word2vec", "fasttext"
TRAINED = (WORD2VEC, FASTTEXT)


@dataclass(frozen=True)
class VectorSettings:
    """What the embeddings of model.encoder=lstm and cnn start from. kind: `none`; `word2vec` (Mikolov et al. 2013,
    arXiv 1310.4546) or `fasttext` (Bojanowski et al. 2017, arXiv 1607.04606), which `pretrain` trains on all the text
    (fastText adds vectors of a token's characters, worth something only where tokens are spelt); or the folder of a
    finished `pretrain` run, for its encoder's embeddings. tokens: how much of the text is read, from its end, where
    train and test stand unless the corpus has their lines already; 0 for all. epochs, window (tokens each way),
    negative (samples), learning_rate: of the training; the defaults are word2vec's own."""

    kind: str = NO_VECTORS
    tokens: int = 0
    epochs: int = 5
    window: int = 5
    negative: int = 5
    learning_rate: float = 0.025
    NEEDS: ClassVar[tuple[Need[VectorSettings], ...]] = tuple(
        Need(name, f"vectors.kind is {' or '.join(TRAINED)}", lambda made: made.kind in TRAINED)
        for name in ("window", "negative", "learning_rate")  # tokens and epochs: a budget's rungs say them of all
    )

    def __post_init__(self) -> None:
        require("kind", bool(self.kind), "none, word2vec, fasttext or a folder", self.kind)
        require("tokens", self.tokens >= 0, "at least 0", self.tokens)
        for name in ("epochs", "window", "negative"):
            require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        require("learning_rate", self.learning_rate > 0, "over 0", self.learning_rate)

    @property
    def folder(self) -> str:
        """The run whose embeddings are taken, empty if it is none."""
        return "" if self.kind in (NO_VECTORS, *TRAINED) else self.kind
