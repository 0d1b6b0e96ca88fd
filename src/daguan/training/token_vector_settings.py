"""The settings of token vectors, in a module that does not import gensim."""

from __future__ import annotations

from daguan.core.needs import chosen
from daguan.core.settings import Section, require, setting
from daguan.models.encoders.table import ENCODERS

NO_VECTORS, WORD2VEC, FASTTEXT = "none", "word2vec", "fasttext"
TRAINED = (WORD2VEC, FASTTEXT)
BY_KIND = chosen("vectors.kind", *TRAINED)


class VectorSettings(Section):
    """Token vectors as initial embeddings of encoders without pretraining. The defaults are word2vec's."""

    kind: str = setting(
        NO_VECTORS,
        "none; word2vec (Mikolov et al. 2013, arXiv 1310.4546) or fasttext (Bojanowski et al. 2017, arXiv 1607.04606), "
        "which `pretrain` trains on all the text (fastText adds vectors of a token's characters, useful only where "
        "tokens are spelt); or the folder of a finished `pretrain` run, for its encoder's embeddings.",
        is_path=True,
        reads_when=chosen("model.encoder", *(name for name, row in ENCODERS.items() if not row.pretrained)),
    )
    tokens: int = setting(
        0,
        "How many tokens of the text are read, from its end, where the train and test lines are unless the corpus "
        "contains them; 0 for all of it.",
        ge=0,
    )
    epochs: int = setting(5, "Passes over that text.", ge=1)
    window: int = setting(5, "Tokens of context on each side.", ge=1, reads_when=BY_KIND)
    negative: int = setting(5, "Negative samples for each token.", ge=1, reads_when=BY_KIND)
    learning_rate: float = setting(0.025, "Initial learning rate.", gt=0, reads_when=BY_KIND)

    def check(self) -> None:
        require("kind", bool(self.kind), "none, word2vec, fasttext or a folder", self.kind)

    @property
    def folder(self) -> str:
        """Returns the run whose embeddings are taken, empty if there is none."""
        return "" if self.kind in (NO_VECTORS, *TRAINED) else self.kind
