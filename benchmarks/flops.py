"""Floating-point operations: those that a training update of BERT needs, and the rate that the machine reaches."""

from __future__ import annotations

import resource
import time

import torch

from benchmarks.data import LENGTH
from daguan.data.batches.masking import places_per_row
from daguan.training.devices import find_device
from daguan.training.engine_settings import EngineSettings

SHAPES = ((4096, 512, 2048), (4096, 2048, 512), (2048, 2048, 2048), (4096, 256, 1024))


def per_token(layers: int, hidden: int, vocabulary_size: int, rate: float) -> float:
    """Returns the operations of a training update, for a token.

    They are 6 for each weight of a matrix that a token meets, and 12·L·T·H of attention. The language-model head counts
    at the masked places only, whatever a program does elsewhere; a rate of 0 stands for none.
    """
    encoder = layers * (4 * hidden**2 + 2 * hidden * 4 * hidden)
    head = hidden**2 + hidden * vocabulary_size
    masked = places_per_row(LENGTH, rate) / LENGTH if rate else 0.0
    return 6 * (encoder + masked * head) + 12 * layers * LENGTH * hidden


def settle() -> None:
    """Wait until the GPU, if there is one, has done what it was asked."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def memory_gb() -> float:
    """Returns the most memory that was in use: of the GPU, or else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def matmul_rate(precision: str, seconds: float) -> float:
    """Returns the operations a second of the fastest matrix product found, for the models' shapes and larger ones."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return max(_rate(*shape, dtype, seconds / len(SHAPES)) for shape in SHAPES)


def _rate(rows: int, inner: int, columns: int, dtype: torch.dtype, seconds: float) -> float:
    device = find_device(EngineSettings())
    left, right = (torch.randn(*shape).to(device, dtype) for shape in ((rows, inner), (inner, columns)))
    fastest, start = float("inf"), time.perf_counter()
    while (begun := time.perf_counter()) - start < seconds or fastest == float("inf"):
        left @ right
        settle()
        fastest = min(fastest, time.perf_counter() - begun)
    return 2 * rows * inner * columns / fastest
