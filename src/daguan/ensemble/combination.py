"""What a blend learns from, and what it is once learnt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.marginals import LineMarginals
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex

Answers = Sequence[Sequence[LineMarginals]]  # of each of M members one (T,K) array a line
Kept = NDArray[np.bool_]  # (N,): the lines to learn from, whole folds of them


@dataclass(frozen=True)
class OutOfFold:
    """N lines with gold, the fold that held each out (N,), and the members' answers by the models of that fold. text:
    what is known of all the text without gold, if anything."""

    gold: Sequence[Sentence]
    fold_of_line: NDArray[np.int64]
    answers: Answers
    scheme: TagScheme
    seed: int
    text: TextIndex | None = None


class Judged(NamedTuple):
    """Of each of N lines the answer, and (N,) how probable its least certain decision is, 0 to 1."""

    spans: list[tuple[Span, ...]]
    confidences: NDArray[np.float64]


class Combination(Protocol):
    """A fitted way to make one answer of several, for spans with these labels. It survives JSON."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def spans(self, sentences: Sequence[Sentence], answers: Answers) -> list[tuple[Span, ...]]:
        """Of each sentence, whose gold is not read."""

    def judge(self, sentences: Sequence[Sentence], answers: Answers) -> Judged:
        """What `spans` answers, and how sure of it the combination is. What a decision is, each says."""

    def to_json(self) -> dict[str, Any]: ...


class Learner(Protocol):
    """Made of all the evidence, so that what does not depend on gold is computed once; `fit` reads the gold of the kept
    lines alone."""

    def fit(self, kept: Kept) -> Combination: ...


def least_certain(beliefs: Mapping[Span, float], taken: Collection[Span]) -> float:
    """The least probability of a decision on the spans of a line, each with that of being right: p where a span is
    taken, 1 - p where it is not. 1 where there is nothing to decide."""
    return min((p if span in taken else 1 - p for span, p in beliefs.items()), default=1.0)
