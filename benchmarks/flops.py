"""Floating-point operations: those that a training update of BERT needs, and the rate that the machine reaches."""

from __future__ import annotations

import resource

import torch

from benchmarks.data import LENGTH
from daguan.models.encoders.settings import EncoderSettings
from daguan.training.devices import find_device
from daguan.training.engine_settings import EngineSettings
from daguan.training.operations import matrix_rate, operations_per_token


def per_token(layers: int, hidden: int, vocabulary_size: int, rate: float) -> float:
    """Returns the operations of a training update of BERT, for a token; a rate of 0 stands for no language-model
    head."""
    size = EncoderSettings(
        layers=layers, hidden=hidden, heads=1, feed_forward=4 * hidden, max_length=LENGTH, initialisation="normal"
    )
    return operations_per_token(size, vocabulary_size, rate)


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
    return matrix_rate(dtype, seconds, find_device(EngineSettings()))
