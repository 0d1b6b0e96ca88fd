"""What a tagger believes: P(tag) at every token of some lines. Kept for every fold, so that all can be blended later.

The file is safetensors: `lines` (N,) line numbers from 0, `offsets` (N+1,) where each line's tokens begin, `probs`
(tokens, K) half precision. Lines and tags are those of the contest; the manifest beside it says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from daguan.core.errors import CheckpointError
from daguan.core.files import write_atomic

Probs = NDArray[np.float16]


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
        return cls(np.asarray(lines, dtype=np.int64), offsets, np.concatenate(answers).astype(np.float16))

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
        """Raises CheckpointError: no such file, or damaged."""
        try:
            return cls(**load_file(path))
        except (OSError, SafetensorError, TypeError) as error:
            raise CheckpointError(f"{path}: expected marginals, got: {error}") from None


def mean(answers: Sequence[Mapping[int, Probs]]) -> dict[int, NDArray[np.float32]]:
    """The plain mean over members, line by line.

    Raises:
        CheckpointError: the members do not answer the same lines, lengths and tags.
    """
    first = {line: probs.shape for line, probs in answers[0].items()}
    for other in answers[1:]:
        if {line: probs.shape for line, probs in other.items()} != first:
            raise CheckpointError("blend: expected members for the same lines and tags, got different ones")
    return {
        line: np.mean([member[line] for member in answers], axis=0, dtype=np.float32) for line in sorted(answers[0])
    }
