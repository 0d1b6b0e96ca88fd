"""Learns the text features of the n-gram CRF, once for all folds of a contest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from daguan.core.code import module_keys
from daguan.core.files import sha256_of_json
from daguan.core.runs import folder_lock
from daguan.core.seeds import stream_seed
from daguan.data.batches.packing import TokenLines, token_file
from daguan.data.feature_hashes import Numbers, hashes
from daguan.data.text_features import (
    TextFeatures,
    read_text_features,
    varieties_of_strings,
    write_text_features,
)
from daguan.data.vocabulary import SEP, UNK, Vocabulary
from daguan.training.token_vector_settings import WORD2VEC, VectorSettings
from daguan.training.token_vectors import train_vectors

TOKENS = 1_500_000  # the last ones of the text, where train and test stand
WIDTH, WINDOW, ITERATIONS = 64, 2, 50
CLUSTERINGS = (32, 128, 512)  # clusters of each
SEEDS = 1 << 32


def text_features(prepared: Path, seed: int) -> TextFeatures:
    """Returns the features of the prepared text: those in its folder `text_features`, where the first fold that needs
    them writes them while others wait."""
    key = sha256_of_json({"seed": seed, "code": module_keys([__name__])})[:12]
    folder = prepared / "text_features"
    with folder_lock(folder, wait=True):
        path = folder / f"{key}.safetensors"
        if not path.is_file():
            write_text_features(learn(prepared, seed), path)
        return read_text_features(path)


def learn(prepared: Path, seed: int) -> TextFeatures:
    """Learns clusters of word2vec vectors (Mikolov et al. 2013, arXiv 1310.4546; k-means on their directions), and the
    varieties of strings."""
    vocabulary = Vocabulary.load(prepared)
    lines = TokenLines(token_file(prepared, len(vocabulary)), vocabulary, TOKENS)
    settings = VectorSettings(kind=WORD2VEC, window=WINDOW)
    vectors = train_vectors(lines, settings, WIDTH, stream_seed(seed, "text-features"), lambda epochs: None)
    tokens = hashes(vectors)
    directions = np.stack([vector / np.linalg.norm(vector) for vector in vectors.values()])
    clusters = np.stack(
        [_clusters(directions, count, stream_seed(seed, "clusters", count)) for count in CLUSTERINGS], 1
    )
    order = np.argsort(tokens)
    found = varieties_of_strings(lines.ids, (SEP, UNK), hashes(vocabulary.entries))
    return TextFeatures(tokens[order], np.ascontiguousarray(clusters[order]), *found)


def _clusters(directions: NDArray[np.float32], count: int, seed: int) -> Numbers:
    """Returns (V,) the cluster of each vector (V,E), from 1."""
    means = KMeans(min(count, len(directions)), n_init=1, max_iter=ITERATIONS, random_state=seed % SEEDS)
    with threadpool_limits(1):  # sums in one order
        found: Numbers = 1 + means.fit_predict(directions).astype(np.uint64)
        return found
