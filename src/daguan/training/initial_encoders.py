"""What an encoder starts from where it has not been pretrained by us: a public checkpoint, or token vectors."""

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
    """The checkpoint that `size.checkpoint` names over our vocabulary. Raises as `load_public_checkpoint` does."""
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
    """An encoder that has read nothing but its token vectors, and how many entries have one. They are trained on the
    text in `prepared`, `report` getting the epochs done, or taken from another run."""
    from daguan.training.token_vectors import put_vectors, train_vectors, vectors_of  # gensim takes seconds to load

    torch.manual_seed(stream_seed(seed, "pretrain-weights"))
    encoder = new_encoder(architecture, size, len(vocabulary), 0.0)
    if chosen.folder:
        vectors = vectors_of(Path(chosen.folder))
    else:
        lines = TokenLines(token_file(prepared, len(vocabulary)), vocabulary, chosen.tokens)
        vectors = train_vectors(lines, chosen, size.width, stream_seed(seed, "vectors"), report)
    return encoder, put_vectors(encoder.model.get_input_embeddings(), vectors, vocabulary)
