"""Describes possible submissions: labelled test lines with the out-of-fold score of the model that made them.

Needs no gold labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.competition.public_scores import BOARD
from daguan.core.errors import DataError
from daguan.core.files import read_json, sha256_of_file
from daguan.core.types import Sentence
from daguan.data.contest import TEST
from daguan.data.format import read_labelled

BOARD_METRIC = "contest"  # what leaderboards compute
Z = 1.959964  # half width of a 95 % interval in standard deviations


@dataclass(frozen=True)
class Candidate:
    """A submission, sent or not.

    Attributes:
        name: of the submission.
        out_of_fold: its out-of-fold contest F1, a fraction.
        sd: the standard deviation of that score over lines drawn again.
        spans: (line, start, stop, label) in the test lines.
        lines: the number of lines behind the score, 0 for all training lines.
    """

    name: str
    out_of_fold: float
    sd: float
    spans: frozenset[tuple[int, int, int, str]]
    lines: int = 0

    @classmethod
    def of(cls, name: str, scores: dict[str, Any], answer: Sequence[Sentence], lines: int) -> Candidate:
        """Builds a candidate from its out-of-fold `scores`, as `all_metrics` returns them, and its labelled test
        lines."""
        ours = scores[BOARD_METRIC]
        low, high = ours["interval"]
        spans = ((line, s.start, s.stop, s.label) for line, sentence in enumerate(answer) for s in sentence.gold)
        return cls(name, ours["f1"], (high - low) / (2 * Z), frozenset(spans), lines)


def agreement(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Returns (n,n) the span F1 of each candidate's test lines against each other's; 1 where neither has a span.

    The matrix is positive semidefinite: |A ∩ B| and 1 / (|A| + |B|) are, and so is their product (Schur).
    """
    numbers: dict[tuple[int, int, int, str], int] = {}
    columns = [[numbers.setdefault(span, len(numbers)) for span in candidate.spans] for candidate in candidates]
    holds = np.zeros((len(candidates), len(numbers)), dtype=np.float32)
    for row, found in zip(holds, columns, strict=True):
        row[found] = 1
    hits, sizes = holds @ holds.T, holds.sum(1)
    totals = sizes[:, None] + sizes
    return np.where(totals > 0, 2 * hits.astype(np.float64) / np.maximum(totals, 1), 1.0)


def read_candidates(folder: Path, test_sha256: str) -> list[Candidate]:
    """Reads the submissions for the test file with that hash, by name.

    Raises:
        DataError: a submission is missing, or is not the file that `submit` checked and wrote.
    """
    candidates = []
    for path in sorted(folder.glob("*.json")):
        if path.name == BOARD:
            continue
        manifest = read_json(path)
        try:
            if manifest["data_sha256"][TEST] == test_sha256:
                candidates.append(_read(path.with_suffix(".txt"), manifest))
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}: expected the manifest that `submit` wrote, got one without {error}") from None
    return candidates


def _read(path: Path, manifest: dict[str, Any]) -> Candidate:
    answer = read_labelled(path)
    if sha256_of_file(path) != manifest["submission_sha256"]:
        raise DataError(f"{path}: expected the file that `submit` checked, got one changed since; submit it again")
    lines = manifest.get("scored_lines", 0)  # missing in old manifests
    return Candidate.of(path.stem, manifest["out_of_fold"][manifest["final"]], answer, lines)
