"""Named random streams: every use draws from its own, so that one more use changes no other."""

import hashlib

import numpy as np


def stream_seed(seed: int, *name: str | int) -> int:
    """Returns a 63-bit seed for the stream `name` of `seed`; the same on every machine and in every process."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Returns a generator for the stream `name`, e.g. `stream(seed, "mask", epoch, index)`."""
    return np.random.default_rng(stream_seed(seed, *name))
