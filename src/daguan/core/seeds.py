"""Randomness is an argument: every use draws from a stream named after it, so one more use disturbs no other."""

import hashlib

import numpy as np


def stream_seed(seed: int, *name: str | int) -> int:
    """A 63-bit seed for the stream `name` of `seed`; the same on every machine and in every process."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """A generator for the stream `name`, e.g. `stream(seed, "mask", epoch, index)`."""
    return np.random.default_rng(stream_seed(seed, *name))
