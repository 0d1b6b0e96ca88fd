"""A tiny text: lines that count on from somewhere, so that each token follows from its neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import SEP, SPECIALS


def counting_blocks(folder: Path, lines: int, length: int) -> Blocks:
    """Returns that number of lines, each of five to eight of 40 tokens, in blocks of the given length."""
    rng = np.random.default_rng(0)
    text = [(np.arange(size) + rng.integers(0, 40)) % 40 + len(SPECIALS) for size in rng.integers(5, 9, lines)]
    path = folder / "tokens.u2"
    np.concatenate([np.append(line, SEP) for line in text]).astype("<u2").tofile(path)
    return Blocks(path, length)
