"""Token vectors: the same in every process, alike where contexts are, and written where they belong."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from daguan.core.errors import CheckpointError, ConfigError
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from daguan.training.token_vector_settings import VectorSettings
from daguan.training.token_vectors import copy_vectors, embeddings_of, train_vectors

LINES = [[str(a * b % 23) for a in range(1, 9)] for b in range(1, 60)]
PROGRAM = "import test_token_vectors; print(*test_token_vectors.hashes())"


def hashes() -> list[str]:
    """Returns a hash of all vectors of each kind."""
    found = []
    for kind in ("word2vec", "fasttext"):
        vectors = train_vectors(LINES, VectorSettings(kind=kind, epochs=2), 8, 5, lambda done: None)
        whole = b"".join(token.encode() + vector.tobytes() for token, vector in vectors.items())
        found.append(hashlib.sha256(whole).hexdigest())
    return found


def interchangeable(count: int) -> list[list[str]]:
    """Lines in which `x` and `y` stand in the same places, and everything else in places of its own."""
    rng = np.random.default_rng(0)
    frames = [("a", "b"), ("c", "d"), ("e", "f")]
    middles = [("x", "y"), ("u",), ("v",)]
    lines = []
    for _ in range(count):
        kind = int(rng.integers(3))
        left, right = frames[kind]
        lines.append([left, str(rng.choice(middles[kind])), right])
    return lines


def test_a_process_with_other_hashes_trains_the_same_vectors() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment["PYTHONHASHSEED"] = "1" if environment.get("PYTHONHASHSEED") != "1" else "2"
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == hashes()
    assert len(set(hashes())) == 2  # fastText is something else


def test_tokens_of_like_contexts_have_like_vectors_and_epochs_are_reported() -> None:
    done: list[int] = []
    settings = VectorSettings(kind="word2vec", epochs=20, window=1, learning_rate=0.1)
    vectors = train_vectors(interchangeable(600), settings, 8, 1, done.append)
    assert done == list(range(1, 21))

    def likeness(one: str, other: str) -> float:
        a, b = vectors[one], vectors[other]
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    assert likeness("x", "y") > max(likeness("x", "u"), likeness("x", "v")) + 0.1


def test_known_tokens_get_their_vectors_as_spread_as_the_table_and_the_rest_stays() -> None:
    vocabulary = Vocabulary([*SPECIALS, "x", "new", "y"])
    table = nn.Embedding(len(vocabulary), 4)
    before = table.weight.detach().clone()
    vectors = {"x": np.float32([1, 2, 3, 4]), "y": np.float32([-4, 0, 0, 9]), "[MASK]": np.ones(4, np.float32)}
    assert copy_vectors(table, vectors, vocabulary) == 2
    after = table.weight.detach()
    assert after[[*range(5), 6]].equal(before[[*range(5), 6]])
    given = torch.from_numpy(np.stack([vectors["x"], vectors["y"]]))
    assert torch.allclose(after[[5, 7]] * (given.std() / after[[5, 7]].std()), given, atol=1e-5)
    assert after[[5, 7]].std().item() == pytest.approx(before[5:].std().item(), rel=1e-5)


def test_embeddings_of_another_width_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"encoder\.embedding_size=4, got 3"):
        copy_vectors(nn.Embedding(6, 4), {"x": np.ones(3, np.float32)}, Vocabulary([*SPECIALS, "x"]))


@pytest.mark.parametrize("architecture", ["bert", "albert", "modern"])
def test_a_pretrained_encoder_gives_its_embeddings(tmp_path, architecture) -> None:
    vocabulary = Vocabulary([*SPECIALS, "x", "y"])
    size = EncoderSettings(layers=1, hidden=16, heads=2, feed_forward=16, max_length=16, embedding_size=8)
    model = MaskedLm(architecture, size, len(vocabulary))
    model.save(tmp_path)
    with pytest.raises(CheckpointError, match="vocabulary"):
        embeddings_of(tmp_path)
    vocabulary.save(tmp_path)
    table = model.model.get_input_embeddings() if architecture != "modern" else model.model.modern.embeddings
    assert np.array_equal(embeddings_of(tmp_path)["y"], table.weight[6].detach().numpy())


@pytest.mark.parametrize("field", ["epochs", "window", "negative", "learning_rate"])
def test_impossible_settings_are_refused_by_name(field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: expected"):
        VectorSettings(**{field: 0})
