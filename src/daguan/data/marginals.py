"""Stores P(tag) at every token, in half precision; every fold writes its own, so that members can be blended later.

The file is safetensors: `lines` (N,) line numbers from 0, `offsets` (N+1,) where each line's tokens begin, `probs`
(tokens,K) half precision. The manifest beside it says which contest and tags these are. The file is memory-mapped, so
dozens of members cost only what is read of them (the layout: huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from daguan.core.errors import CheckpointError
from daguan.core.files import write_atomic

LineMarginals = NDArray[np.float16]
DTYPES = {"I64": np.int64, "F16": np.float16}
CHUNK_TOKENS = 1 << 15  # of lines, averaged or decoded at once
HEADER = 8  # bytes: the length of the JSON that follows, little-endian


@dataclass(frozen=True)
class Marginals:
    """The marginals of N lines.

    Attributes:
        lines: (N,) their numbers.
        offsets: (N+1,) where the tokens of each line begin in `probs`.
        probs: (tokens,K) P(tag).
    """

    lines: NDArray[np.int64]
    offsets: NDArray[np.int64]
    probs: LineMarginals

    @classmethod
    def of(cls, lines: Sequence[int] | NDArray[np.int64], marginals: Sequence[NDArray[np.floating]]) -> Marginals:
        """Builds the table from one (T,K) array a line."""
        offsets = np.concatenate([[0], np.cumsum([len(probs) for probs in marginals])]).astype(np.int64)
        return cls(np.asarray(lines, dtype=np.int64), offsets, np.concatenate(to_half_precision(marginals)))

    def per_line(self) -> list[LineMarginals]:
        """Returns one (T,K) view a line, in the order of `lines`."""
        return [self.probs[low:high] for low, high in zip(self.offsets[:-1], self.offsets[1:], strict=True)]

    def by_line(self) -> dict[int, LineMarginals]:
        return dict(zip(self.lines.tolist(), self.per_line(), strict=True))

    def save(self, path: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {"lines": self.lines, "offsets": self.offsets, "probs": self.probs}
        write_atomic(path, lambda temporary: save_file(arrays, temporary))

    @classmethod
    def load(cls, path: Path) -> Marginals:
        """Maps a file into memory, read-only. Raises CheckpointError: no such file, or damaged."""
        try:
            with safe_open(path, "np"):  # checks that the header is whole and covers the file
                return cls(**_mapped(path))
        except (OSError, SafetensorError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path}: expected marginals, got: {error}") from None


def to_half_precision(marginals: Iterable[NDArray[np.floating]]) -> list[LineMarginals]:
    """Converts line by line: all lines at once would be in memory twice."""
    return [np.asarray(probs, np.float16) for probs in marginals]


def _mapped(path: Path) -> dict[str, Any]:
    """Returns the tensors of a safetensors file. Raises KeyError: a type that marginals do not use."""
    content = np.memmap(path, np.uint8, "r")
    start = HEADER + int.from_bytes(content[:HEADER].tobytes(), "little")
    about = json.loads(content[HEADER:start].tobytes())
    about.pop("__metadata__", None)
    arrays = {}
    for name, tensor in about.items():
        low, high = tensor["data_offsets"]
        flat = content[start + low : start + high].view(DTYPES[tensor["dtype"]])
        arrays[name] = flat.reshape(tensor["shape"]).view(np.ndarray)
    return arrays


def mean(by_member: Sequence[Sequence[LineMarginals]], weights: Sequence[float] | None = None) -> list[LineMarginals]:
    """Returns the weighted mean of the members' marginals for each line, in half precision.

    Args:
        by_member: one (T,K) array a line from each member.
        weights: (members,), equal if None; a member of weight 0 is not read.

    Raises:
        CheckpointError: the members' lines, lengths or tags differ.
    """
    check_same_shapes(by_member)
    given = [1.0] * len(by_member) if weights is None else weights
    used = [(np.float32(w / sum(given)), member) for w, member in zip(given, by_member, strict=True) if w]
    means: list[LineMarginals] = []
    lengths = np.array([len(probs) for probs in by_member[0]], np.int64)
    for lines in chunks(lengths, CHUNK_TOKENS):  # all lines in single precision may not fit into memory
        parts = (weight * np.concatenate(member[lines]) for weight, member in used)
        means += np.split(reduce(np.add, parts).astype(np.float16), np.cumsum(lengths[lines])[:-1])
    return means


def chunks(lengths: NDArray[np.int64], tokens: int) -> Iterator[slice]:
    """Gives the lines of these lengths (N,), in order, about `tokens` tokens at a time."""
    ends, low = np.cumsum(lengths), 0
    while low < len(lengths):
        before = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + tokens, "right")))
        yield slice(low, high)
        low = high


def check_same_shapes(by_member: Sequence[Sequence[LineMarginals]]) -> None:
    """Raises CheckpointError: the members' lines, lengths or tags differ."""
    first = [probs.shape for probs in by_member[0]]
    if any([probs.shape for probs in other] != first for other in by_member[1:]):
        raise CheckpointError("blend: expected members for the same lines and tags, got different ones")
