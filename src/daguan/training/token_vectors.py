"""Token vectors as initial embeddings: trained on the prepared text, or those of a pretrained encoder.

They are trained by gensim's word2vec (Mikolov et al. 2013, arXiv 1310.4546) or fastText (Bojanowski et al. 2017,
arXiv 1607.04606), skip-gram with negative sampling. One worker thread makes them the same in every process.
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
from daguan.core.quantity import quantity
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.models.encoders.loading import load_encoder
from daguan.training.token_vector_settings import FASTTEXT, VectorSettings

MINIMUM_GRAM, MAXIMUM_GRAM = 1, 3  # characters; anonymised tokens are shorter than fastText's usual n-grams of 3 to 6
GRAM_BUCKETS = 1 << 16
SEEDS = 1 << 32

Vectors = Mapping[str, NDArray[np.float32]]


class _Report(CallbackAny2Vec):  # type: ignore[misc]
    """Calls `report` with the number of finished epochs after each epoch."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.report = report
        self.done = 0

    def on_epoch_end(self, model: Any) -> None:
        self.done += 1
        self.report(self.done)


def train_vectors(
    lines: Iterable[list[str]], settings: VectorSettings, width: int, seed: int, report: Callable[[int], None]
) -> Vectors:
    """Returns a vector (width,) for each token of the lines, which are read epochs + 1 times."""
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


def embeddings_of(folder: Path) -> Vectors:
    """Returns the embeddings of a pretrained encoder by token.

    Raises:
        CheckpointError: no finished run of `pretrain` in the folder.
    """
    table: Tensor = load_encoder(folder, 0.0).model.get_input_embeddings().weight.detach()
    entries = Vocabulary.load(folder).entries
    if len(table) != len(entries):
        raise CheckpointError(
            f"{folder}: expected an embedding for each of {quantity(len(entries), 'entry')}, got {len(table)}"
        )
    return dict(zip(entries, table.numpy(), strict=True))


@torch.no_grad()
def copy_vectors(table: nn.Embedding, vectors: Vectors, vocabulary: Vocabulary) -> int:
    """Copy the vectors into the embeddings (V,E), scaled to their standard deviation, and return the number of vectors.

    Special tokens, and tokens without a vector, keep their embeddings.

    Raises:
        CheckpointError: the vectors have another width.
    """
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
