"""What a tagger believes: P(tag) at every token of some lines. Kept for every fold, so that all can be blended later.

The file is safetensors: `lines` (N,) line numbers from 0, `offsets` (N+1,) where each line's tokens begin, `probs`
(tokens, K) half precision. Lines and tags are those of the contest; the manifest beside it says which. It is mapped
into memory, so that dozens of members cost what is read of them (the layout: huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from daguan.core.errors import CheckpointError
from daguan.core.files import write_atomic

Probs = NDArray[np.float16]
DTYPES = {"I64": np.int64, "F16": np.float16}
HEADER = 8  # bytes: the length of the JSON that follows, little-endian


@dataclass(frozen=True)
class Marginals:
    """lines (N,), offsets (N+1,), probs (tokens,K)."""

    lines: NDArray[np.int64]
    offsets: NDArray[np.int64]
    probs: Probs

    @classmethod
    def of(cls, lines: Sequence[int] | NDArray[np.int64], answers: Sequence[NDArray[np.floating]]) -> Marginals:
        """From one (T,K) array a line."""
        offsets = np.concatenate([[0], np.cumsum([len(answer) for answer in answers])]).astype(np.int64)
        return cls(np.asarray(lines, dtype=np.int64), offsets, np.concatenate(halved(answers)))

    def answers(self) -> list[Probs]:
        """One (T,K) view a line, in the order of `lines`."""
        return [self.probs[low:high] for low, high in zip(self.offsets[:-1], self.offsets[1:], strict=True)]

    def by_line(self) -> dict[int, Probs]:
        return dict(zip(self.lines.tolist(), self.answers(), strict=True))

    def save(self, path: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {"lines": self.lines, "offsets": self.offsets, "probs": self.probs}
        write_atomic(path, lambda temporary: save_file(arrays, temporary))

    @classmethod
    def load(cls, path: Path) -> Marginals:
        """Arrays that read the file where it lies, and cannot be written. Raises CheckpointError: no such file, or
        damaged."""
        try:
            with safe_open(path, "np"):  # checks that the header is whole and covers the file
                return cls(**_mapped(path))
        except (OSError, SafetensorError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path}: expected marginals, got: {error}") from None


def halved(answers: Iterable[NDArray[np.floating]]) -> list[Probs]:
    """In half precision, as they are stored: line by line, as all at once would be in memory twice."""
    return [np.asarray(answer, np.float16) for answer in answers]


def _mapped(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file. Raises KeyError: of a type that marginals have not."""
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


def mean(answers: Sequence[Sequence[Probs]], weights: Sequence[float] | None = None) -> list[Probs]:
    """Of members that each gave one (T,K) array a line: the plain mean of each line, or by weights (members,), in half
    precision as what is stored. A member of weight 0 is not read.

    Raises:
        CheckpointError: the members do not answer the same lines, lengths and tags.
    """
    check_alike(answers)
    given = [1.0] * len(answers) if weights is None else weights
    used = [(np.float32(w / sum(given)), member) for w, member in zip(given, answers, strict=True) if w]
    means = []
    for line in range(len(answers[0])):
        total = np.zeros(answers[0][line].shape, np.float32)
        for weight, member in used:
            total += weight * member[line]
        means.append(total.astype(np.float16))
    return means


def check_alike(answers: Sequence[Sequence[Probs]]) -> None:
    """Raises CheckpointError: the members do not answer the same lines, lengths and tags."""
    first = [probs.shape for probs in answers[0]]
    if any([probs.shape for probs in other] != first for other in answers[1:]):
        raise CheckpointError("blend: expected members for the same lines and tags, got different ones")
