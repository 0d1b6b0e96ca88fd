"""Reads a corpus: from the disk without doing anything with it, and by pandas as a notebook does."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

BLOCK = 1 << 23


def forget(path: Path) -> None:
    """Drop the file from the page cache, so that the next reader reads the disk."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_rate(path: Path) -> float:
    """MB/s of reading the file from the disk, and nothing else."""
    forget(path)
    start, size = time.perf_counter(), 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            size += len(block)
    return size / 1e6 / (time.perf_counter() - start)


def read_naively(folder: Path) -> None:
    """Do what a notebook does instead of `prepare`: pandas for the lines, str.split, a Counter, one array of ids."""
    import numpy as np
    import pandas as pd

    lines = pd.read_csv(folder / "corpus.txt", header=None, names=["line"], dtype=str)["line"].drop_duplicates()
    tokens = lines.str.split("_")
    counts: Counter[str] = Counter()
    tokens.map(counts.update)
    ids = {token: number for number, (token, _) in enumerate(counts.most_common())}
    np.save(folder / "ids.npy", np.array([ids[token] for line in tokens for token in line], dtype=np.uint16))


if __name__ == "__main__":
    read_naively(Path(sys.argv[1]))
