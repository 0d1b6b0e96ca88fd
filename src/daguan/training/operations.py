"""Floating-point operations: those that training needs for a token, and the rate that a device reaches."""

from __future__ import annotations

import time

import torch

from daguan.data.batches.masking import places_per_row
from daguan.models.encoders.settings import EncoderSettings

SMALLEST = (128, 256, 256)
SHAPES = ((4096, 512, 2048), (4096, 2048, 512), (2048, 2048, 2048), (4096, 256, 1024))  # of the models, and larger


def encoder_weights(size: EncoderSettings) -> int:
    """Returns the weights of the matrices in all layers of an encoder, in BERT's terms."""
    return size.layers * (4 * size.hidden**2 + 2 * size.hidden * size.feed_forward)


def operations_per_token(size: EncoderSettings, entries: int, rate: float) -> float:
    """Returns the operations of an update of pretraining, for a token.

    They are 6 for each weight of a matrix that a token meets, and 12·L·T·H of attention. The language-model head counts
    at the masked places only, whatever a program does elsewhere.

    Args:
        entries: of the vocabulary.
        rate: share of the places that are masked; 0 for no head.
    """
    head = size.hidden**2 + size.hidden * entries
    masked = places_per_row(size.max_length, rate) / size.max_length if rate else 0.0
    return 6 * (encoder_weights(size) + masked * head) + 12 * size.layers * size.max_length * size.hidden


def matrix_rate(dtype: torch.dtype, seconds: float, device: torch.device | None = None) -> float:
    """Returns the operations a second of the fastest matrix product found in about that time.

    A product that would take longer than its share of the time is not tried: a processor without bf16 may need seconds.
    """
    place, each = device or torch.device("cpu"), seconds / len(SHAPES)
    fastest = 0.0
    for rows, inner, columns in (SMALLEST, *SHAPES):
        if not fastest or 2 * rows * inner * columns / fastest < each:
            fastest = max(fastest, _rate(rows, inner, columns, dtype, each, place))
    return fastest


def _rate(rows: int, inner: int, columns: int, dtype: torch.dtype, seconds: float, device: torch.device) -> float:
    left, right = (torch.randn(*shape, device=device).to(dtype) for shape in ((rows, inner), (inner, columns)))
    fastest, start = float("inf"), time.perf_counter()
    while (begun := time.perf_counter()) - start < seconds or fastest == float("inf"):
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        fastest = min(fastest, time.perf_counter() - begun)
    return 2 * rows * inner * columns / fastest
