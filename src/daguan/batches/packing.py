"""The pretraining text as one file of token ids, and its cutting into blocks without padding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError, DataError
from daguan.core.files import write_atomic
from daguan.core.seeds import stream
from daguan.text.format import iter_lines, parse_tokens
from daguan.text.vocabulary import CLS, SEP, Vocabulary

CHUNK = 1 << 20  # ids gathered before they are written
HELD_OUT_BLOCKS = 128
DTYPES: dict[str, np.dtype[Any]] = {"u2": np.dtype("<u2"), "u4": np.dtype("<u4")}


@dataclass(slots=True)
class TextCounter:
    """What passed by: lines in all, distinct ones, blank ones of the corpus (skipped)."""

    lines: int = 0
    distinct_lines: int = 0
    blank_lines: int = 0

    def snapshot(self) -> dict[str, int]:
        return asdict(self)


def corpus_lines(path: Path, counter: TextCounter) -> Iterator[str]:
    """The lines of corpus.txt as they are, blank ones skipped. Raises DataError at a line that is no token list."""
    for number, line in iter_lines(path):
        if not line:
            counter.blank_lines += 1
            continue
        try:
            parse_tokens(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        yield line


def distinct(lines: Iterable[str], counter: TextCounter) -> Iterator[str]:
    """Each text once, in order of first sight. Remembers 8 bytes a line, not the line."""
    seen = set()
    for line in lines:
        counter.lines += 1
        key = int.from_bytes(blake2b(line.encode(), digest_size=8).digest(), "little")
        if key not in seen:
            seen.add(key)
            counter.distinct_lines += 1
            yield line


def count_tokens(lines: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.split("_"))
    return counts


def write_token_file(path: Path, lines: Iterable[str], vocabulary: Vocabulary) -> int:
    """Write each line's ids followed by [SEP]; two bytes an id if they fit, else four. Returns the number of ids.

    The file's ending says which: `.u2` or `.u4` (little-endian).
    """
    dtype = DTYPES[path.suffix[1:]]
    total = 0

    def write(temporary: Path) -> None:
        nonlocal total
        buffer: list[int] = []
        with temporary.open("wb") as file:
            for line in chain(lines, (None,)):
                if line is not None:
                    buffer += vocabulary.encode(line.split("_"))
                    buffer.append(SEP)
                if line is None or len(buffer) >= CHUNK:
                    file.write(np.array(buffer, dtype=dtype).tobytes())
                    total += len(buffer)
                    buffer = []

    write_atomic(path, write)
    return total


def token_file(folder: Path, vocabulary_size: int) -> Path:
    return folder / ("tokens.u2" if vocabulary_size <= 1 << 16 else "tokens.u4")


class Blocks:
    """The token file as N blocks of T ids: [CLS], then the next T−1 ids of the stream (RoBERTa's full sentences).

    Nothing is padded; the ids past the last whole block are not used (fewer than T−1). A file shorter than two blocks
    is repeated to fill them.
    """

    def __init__(self, path: Path, length: int) -> None:
        if not path.is_file():
            raise CheckpointError(f"{path}: expected the token file that `prepare` writes, got nothing at that path")
        ids: NDArray[Any] = np.memmap(path, dtype=DTYPES[path.suffix[1:]], mode="r")
        width = length - 1
        if len(ids) < 2 * width:  # one block to learn from, one to hold out
            ids = np.resize(ids, 2 * width)
        self.rows = ids[: len(ids) // width * width].reshape(-1, width)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) block numbers → (N,T) ids."""
        block = np.empty((len(indices), self.rows.shape[1] + 1), dtype=np.int64)
        block[:, 0] = CLS
        block[:, 1:] = self.rows[indices]
        return block

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Block numbers (train, held out): a tenth is held out, but at least one and at most HELD_OUT_BLOCKS."""
        order = stream(seed, "held-out-blocks").permutation(len(self))
        count = max(1, min(HELD_OUT_BLOCKS, len(self) // 10))
        return np.sort(order[count:]), np.sort(order[:count])
