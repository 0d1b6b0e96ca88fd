"""Stores the pretraining text as one file of token ids, and cuts it into blocks without padding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError, DataError
from daguan.core.files import write_atomic
from daguan.core.seeds import stream
from daguan.data.format import parse_tokens, split_tokens
from daguan.data.vocabulary import CLS, SEP, Vocabulary

CHUNK = 1 << 20  # numbers written, and later converted, at a time
NUMBER = np.dtype("<u4")
LINE_END = 0
HELD_OUT_BLOCKS = 128
DTYPES: dict[str, np.dtype[Any]] = {"u2": np.dtype("<u2"), "u4": np.dtype("<u4")}


class Numbering(dict[str, int]):
    """Numbers tokens from 1 in order of first appearance; looking up a new token numbers it. 0 is LINE_END."""

    def __missing__(self, token: str) -> int:
        number = self[token] = len(self) + 1
        return number


class NumberedText:
    """Collects distinct lines as token numbers in a scratch file.

    Ids follow from frequencies, which are known only after all text is read. Numbers do not: each line is read and
    split once and written as numbers, and `ids` maps these to ids at the end.
    """

    def __init__(self, scratch: IO[bytes]) -> None:
        self._scratch = scratch
        self._numbering = Numbering()
        self._gathered: list[int] = []  # numbers not yet in the scratch file
        self._counts = np.zeros(1, dtype=np.int64)  # by number, of the scratch file
        self._seen: set[bytes] = set()
        self.lines = 0
        self.blank_lines = 0

    @property
    def distinct_lines(self) -> int:
        return len(self._seen)

    def add(self, line: str) -> None:
        """Adds a line unless its text is known. Raises ValueError: malformed; the object is unusable afterwards."""
        self.lines += 1
        key = blake2b(line.encode(), digest_size=8).digest()  # remembers 8 bytes instead of the line
        if key in self._seen:
            return
        self._seen.add(key)
        types = len(self._numbering)
        self._gathered += map(self._numbering.__getitem__, split_tokens(line))
        self._gathered.append(LINE_END)
        if len(self._numbering) > types:
            parse_tokens(line)  # a line of known tokens needs no check
        if len(self._gathered) >= CHUNK:
            self._flush()

    def add_corpus(self, path: Path, lines: Iterable[tuple[int, str]]) -> None:
        """Adds the lines of `iter_corpus(path)`, skipping blank ones. Raises DataError naming a malformed line."""
        for number, line in lines:
            if not line:
                self.blank_lines += 1
                continue
            try:
                self.add(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: {error}") from None

    def counts(self) -> Counter[str]:
        """Returns the frequency of each token in the distinct lines, in order of first appearance."""
        self._flush()
        return Counter(dict(zip(self._numbering, self._counts[1:].tolist(), strict=True)))

    def ids(self, vocabulary: Vocabulary) -> Iterator[NDArray[np.uint32]]:
        """Yields the ids of all lines, each followed by [SEP], in chunks of arbitrary cut."""
        self._flush()
        table = np.array([SEP, *vocabulary.encode(self._numbering)], dtype=np.uint32)
        self._scratch.seek(0)
        while chunk := self._scratch.read(CHUNK * NUMBER.itemsize):
            yield np.take(table, np.frombuffer(chunk, dtype=NUMBER))

    def _flush(self) -> None:
        chunk = np.fromiter(self._gathered, dtype=NUMBER, count=len(self._gathered))
        counts = np.bincount(chunk, minlength=len(self._numbering) + 1)
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self._scratch.seek(0, SEEK_END)  # `ids` may have moved the position
        self._scratch.write(chunk.tobytes())
        self._gathered.clear()


def write_token_file(path: Path, chunks: Iterable[NDArray[np.uint32]]) -> None:
    """Writes ids atomically, as two or four bytes each (little-endian) by the suffix `.u2` or `.u4`."""
    dtype = DTYPES[path.suffix[1:]]

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            for chunk in chunks:
                file.write(chunk.astype(dtype).tobytes())

    write_atomic(path, write)


def token_file(folder: Path, vocabulary_size: int) -> Path:
    return folder / ("tokens.u2" if vocabulary_size <= 1 << 16 else "tokens.u4")


def _open(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise CheckpointError(f"{path}: expected the token file that `prepare` writes, got nothing at that path")
    return np.memmap(path, dtype=DTYPES[path.suffix[1:]], mode="r")


def ids_of(path: Path) -> Iterator[NDArray[np.uint32]]:
    """Yields the ids of a token file in chunks of arbitrary cut."""
    ids = _open(path)
    for low in range(0, len(ids), CHUNK):
        yield ids[low : low + CHUNK].astype(np.uint32)


class TokenLines:
    """Yields the token file as lines of tokens, [UNK] for unknown ones; can be iterated repeatedly.

    With `tokens` it reads only that many ids at the end, of which the first line may lack its beginning; 0 reads all.
    """

    def __init__(self, path: Path, vocabulary: Vocabulary, tokens: int = 0) -> None:
        self.ids, self.entries = _open(path)[-tokens:], vocabulary.entries

    def __iter__(self) -> Iterator[list[str]]:
        start = 0
        for end in np.flatnonzero(self.ids == SEP).tolist():
            yield [self.entries[id] for id in self.ids[start:end].tolist()]
            start = end + 1


class Blocks:
    """The token file as N blocks of T ids: [CLS] and the next T−1 ids of the text (RoBERTa's full sentences).

    Nothing is padded; the fewer than T−1 ids after the last whole block are not used. A file shorter than two blocks is
    repeated to fill them.
    """

    def __init__(self, path: Path, length: int) -> None:
        ids = _open(path)
        width = length - 1
        if len(ids) < 2 * width:  # one block to learn from, one to hold out
            ids = np.resize(ids, 2 * width)
        self.rows = ids[: len(ids) // width * width].reshape(-1, width)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns (N,T) the ids of blocks (N,)."""
        block = np.empty((len(indices), self.rows.shape[1] + 1), dtype=np.int64)
        block[:, 0] = CLS
        block[:, 1:] = self.rows[indices]
        return block

    def ids(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns (N,T−1) the ids of blocks (N,) without [CLS]."""
        ids: NDArray[np.int64] = self.rows[indices].astype(np.int64)
        return ids

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns block numbers (train, held out): a tenth is held out, at least 1 and at most HELD_OUT_BLOCKS."""
        order = stream(seed, "held-out-blocks").permutation(len(self))
        count = max(1, min(HELD_OUT_BLOCKS, len(self) // 10))
        return np.sort(order[count:]), np.sort(order[:count])
