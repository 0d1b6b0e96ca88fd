"""Encoders that start from a public checkpoint or from token vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from daguan.core.seeds import stream_seed
from daguan.data.batches.packing import TokenLines, token_file
from daguan.data.vocabulary import Vocabulary
from daguan.models.encoders.loading import Encoder, new_encoder
from daguan.models.encoders.public_checkpoint import load_public_checkpoint
from daguan.models.encoders.settings import EncoderSettings
from daguan.training.token_vector_settings import VectorSettings


def public_encoder(architecture: str, size: EncoderSettings, vocabulary: Vocabulary, seed: int) -> Any:
    """Returns the encoder of the public checkpoint `size.checkpoint` with our vocabulary.

    Raises as `load_public_checkpoint` does.
    """
    torch.manual_seed(stream_seed(seed, "adopted-weights"))
    return load_public_checkpoint(architecture, size, vocabulary)


def encoder_with_vectors(
    architecture: str,
    size: EncoderSettings,
    chosen: VectorSettings,
    prepared: Path,
    vocabulary: Vocabulary,
    seed: int,
    report: Callable[[int], None],
) -> tuple[Encoder, int]:
    """Returns a new encoder with token vectors as embeddings, and the number of entries that have one.

    The vectors are those of another run, or are trained on the text in `prepared`; `report` gets each finished epoch.
    """
    from daguan.training.token_vectors import copy_vectors, embeddings_of, train_vectors  # gensim takes seconds to load

    torch.manual_seed(stream_seed(seed, "pretrain-weights"))
    encoder = new_encoder(architecture, size, len(vocabulary), 0.0)
    if chosen.folder:
        vectors = embeddings_of(Path(chosen.folder))
    else:
        lines = TokenLines(token_file(prepared, len(vocabulary)), vocabulary, chosen.tokens)
        vectors = train_vectors(lines, chosen, size.width, stream_seed(seed, "vectors"), report)
    return encoder, copy_vectors(encoder.model.get_input_embeddings(), vectors, vocabulary)
