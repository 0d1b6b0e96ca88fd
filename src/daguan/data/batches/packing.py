"""The pretraining text as one file of token ids, and its cutting into blocks without padding."""

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
from daguan.data.format import TOKEN_SEPARATOR, parse_tokens
from daguan.data.vocabulary import CLS, SEP, Vocabulary

CHUNK = 1 << 20  # numbers gathered before they are written; read, renumbered and written at a time
NUMBER = np.dtype("<u4")
LINE_END = 0
HELD_OUT_BLOCKS = 128
DTYPES: dict[str, np.dtype[Any]] = {"u2": np.dtype("<u2"), "u4": np.dtype("<u4")}


class Numbering(dict[str, int]):
    """Token → its number in order of first sight, from 1: looking a new token up numbers it. 0 is LINE_END."""

    def __missing__(self, token: str) -> int:
        number = self[token] = len(self) + 1
        return number


class NumberedText:
    """The distinct lines added, as numbers in a scratch file.

    Ids follow from the frequencies, which are known only when all text is read. Numbers do not, so the text is read
    and split once: each line goes to the file as numbers, and `ids` puts ids for them by a table at the end.
    """

    def __init__(self, scratch: IO[bytes]) -> None:
        self._scratch = scratch
        self._numbering = Numbering()
        self._gathered: list[int] = []  # numbers not yet in the scratch file
        self._counts = np.zeros(1, dtype=np.int64)  # by number, of what is in the scratch file
        self._seen: set[bytes] = set()
        self.lines = 0
        self.blank_lines = 0

    @property
    def distinct_lines(self) -> int:
        return len(self._seen)

    def add(self, line: str) -> None:
        """Add a line unless its text has been added. Raises ValueError (and is of no more use): no token list."""
        self.lines += 1
        key = blake2b(line.encode(), digest_size=8).digest()  # 8 bytes to remember, not the line
        if key in self._seen:
            return
        self._seen.add(key)
        types = len(self._numbering)
        self._gathered += map(self._numbering.__getitem__, line.split(TOKEN_SEPARATOR))
        self._gathered.append(LINE_END)
        if len(self._numbering) > types:
            parse_tokens(line)  # a line is as good as its tokens, and the others have passed in an earlier line
        if len(self._gathered) >= CHUNK:
            self._flush()

    def add_corpus(self, path: Path, lines: Iterable[tuple[int, str]]) -> None:
        """Add `iter_lines(path)`, blank lines skipped. Raises DataError at a line that is no token list."""
        for number, line in lines:
            if not line:
                self.blank_lines += 1
                continue
            try:
                self.add(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: {error}") from None

    def counts(self) -> Counter[str]:
        """How often each token stands in the distinct lines, tokens in order of first sight."""
        self._flush()
        return Counter(dict(zip(self._numbering, self._counts[1:].tolist(), strict=True)))

    def ids(self, vocabulary: Vocabulary) -> Iterator[NDArray[np.uint32]]:
        """Each line's ids followed by [SEP], cut anywhere into chunks."""
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
        self._scratch.seek(0, SEEK_END)  # `ids` may have read
        self._scratch.write(chunk.tobytes())
        self._gathered.clear()


def write_token_file(path: Path, chunks: Iterable[NDArray[np.uint32]]) -> None:
    """Write ids, two or four bytes each as the file's ending says: `.u2` or `.u4` (little-endian). All or nothing."""
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


class TokenLines:
    """The token file as lines of tokens, [UNK] for what the vocabulary lacks; may be iterated again and again.
    tokens: only its last so many ids, of which the first line may lack its beginning; 0 for all."""

    def __init__(self, path: Path, vocabulary: Vocabulary, tokens: int = 0) -> None:
        self.ids, self.entries = _open(path)[-tokens:], vocabulary.entries

    def __iter__(self) -> Iterator[list[str]]:
        start = 0
        for end in np.flatnonzero(self.ids == SEP).tolist():
            yield [self.entries[id] for id in self.ids[start:end].tolist()]
            start = end + 1


class Blocks:
    """The token file as N blocks of T ids: [CLS], then the next T−1 ids of the stream (RoBERTa's full sentences).

    Nothing is padded; the ids past the last whole block are not used (fewer than T−1). A file shorter than two blocks
    is repeated to fill them.
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
        """(N,) block numbers → (N,T) ids."""
        block = np.empty((len(indices), self.rows.shape[1] + 1), dtype=np.int64)
        block[:, 0] = CLS
        block[:, 1:] = self.rows[indices]
        return block

    def ids(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) block numbers → (N,T−1) ids of the stream, without [CLS]."""
        ids: NDArray[np.int64] = self.rows[indices].astype(np.int64)
        return ids

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Block numbers (train, held out): a tenth is held out, but at least one and at most HELD_OUT_BLOCKS."""
        order = stream(seed, "held-out-blocks").permutation(len(self))
        count = max(1, min(HELD_OUT_BLOCKS, len(self) // 10))
        return np.sort(order[count:]), np.sort(order[:count])
