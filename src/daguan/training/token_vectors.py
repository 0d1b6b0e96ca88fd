"""Token vectors that encoders without pretraining start from: trained on the prepared text, or a pretrained encoder's.

word2vec (Mikolov et al. 2013, arXiv 1310.4546) and fastText (Bojanowski et al. 2017, arXiv 1607.04606) as gensim has
them, skip-gram with negative sampling. One worker and a seed: the same vectors in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gensim.models import FastText, Word2Vec
from gensim.models.callbacks import CallbackAny2Vec
from numpy.typing import NDArray
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.models.encoders.loading import load_encoder
from daguan.training.token_vector_settings import FASTTEXT, VectorSettings

MINIMUM_GRAM, MAXIMUM_GRAM = 1, 3  # characters: fastText's usual 3 to 6 are more than an anonymised token has
GRAM_BUCKETS = 1 << 16
SEEDS = 1 << 32

Vectors = Mapping[str, NDArray[np.float32]]


class _Report(CallbackAny2Vec):  # type: ignore[misc]
    """Hands the number of finished epochs on."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.report = report
        self.done = 0

    def on_epoch_end(self, model: Any) -> None:
        self.done += 1
        self.report(self.done)


def train_vectors(
    lines: Iterable[list[str]], settings: VectorSettings, width: int, seed: int, report: Callable[[int], None]
) -> Vectors:
    """The vectors (width,) of the tokens in the lines, which are read epochs + 1 times."""
    common = {
        "sentences": lines, "vector_size": width, "sg": 1, "epochs": settings.epochs, "window": settings.window,
        "negative": settings.negative, "alpha": settings.learning_rate, "min_count": 1, "workers": 1,
        "seed": seed % SEEDS, "callbacks": [_Report(report)],
    }  # fmt: skip
    if settings.kind == FASTTEXT:
        grams = {"min_n": MINIMUM_GRAM, "max_n": MAXIMUM_GRAM, "bucket": GRAM_BUCKETS}
        keyed = FastText(**common, **grams).wv
    else:
        keyed = Word2Vec(**common).wv
    return {token: keyed[token] for token in keyed.key_to_index}


def vectors_of(folder: Path) -> Vectors:
    """The embeddings of a pretrained encoder by token. Raises CheckpointError: no finished `pretrain` run of ours."""
    table: Tensor = load_encoder(folder, 0.0).model.get_input_embeddings().weight.detach()
    entries = Vocabulary.load(folder).entries
    if len(table) != len(entries):
        raise CheckpointError(f"{folder}: expected an embedding for each of {len(entries)} entries, got {len(table)}")
    return dict(zip(entries, table.numpy(), strict=True))


@torch.no_grad()
def put_vectors(table: nn.Embedding, vectors: Vectors, vocabulary: Vocabulary) -> int:
    """Write the vectors of the known tokens into the table (V,E), as spread as it is; returns how many. The specials,
    and tokens without a vector, keep what they have. Raises CheckpointError: vectors of another width."""
    ids = [id for id, token in enumerate(vocabulary.entries) if id >= len(SPECIALS) and token in vectors]
    if not ids:
        return 0
    found = torch.from_numpy(np.stack([vectors[vocabulary.entries[id]] for id in ids]))
    if found.shape[1] != table.embedding_dim:
        raise CheckpointError(
            f"vectors.kind: expected vectors of encoder.embedding_size={table.embedding_dim}, got {found.shape[1]}"
        )
    table.weight[ids] = found * (table.weight[len(SPECIALS) :].std() / found.std())
    return len(ids)
