"""Makes corpora of any size from the built-in contest's, and reads them from disk and by pandas."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

PIECES = 3  # parts of lines a new line is joined of: 55 tokens in the mean, as the official corpus has
BLOCK = 1 << 23


def parts_of(lines: list[str]) -> tuple[list[str], list[str]]:
    """Returns the first and the second halves of all lines of two tokens or more."""
    first, second = [], []
    for line in lines:
        tokens = line.split("_")
        middle = len(tokens) // 2
        if middle:
            first.append("_".join(tokens[:middle]))
            second.append("_".join(tokens[middle:]))
    return first, second


def make(contest: Path, folder: Path, tokens: int) -> int:
    """Make a contest with a corpus of about that many tokens: random half lines joined, so that few texts are equal.

    Returns the bytes of corpus.txt.
    """
    folder.mkdir(parents=True)
    for name in ("train.txt", "test.txt"):
        shutil.copyfile(contest / name, folder / name)
    first, second = parts_of((contest / "corpus.txt").read_text("utf-8").split("\n"))
    rng = random.Random(tokens)
    left = tokens
    with (folder / "corpus.txt").open("w", encoding="utf-8") as file:
        while left > 0:
            line = "_".join([rng.choice(first), *rng.choices(second, k=PIECES - 1)])
            left -= line.count("_") + 1
            file.write(line if left <= 0 else f"{line}\n")
        file.flush()
        os.fsync(file.fileno())
    return (folder / "corpus.txt").stat().st_size


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
