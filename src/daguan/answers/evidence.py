"""What a blend learns from: the members' answers for lines that they had not seen, beside the gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daguan.answers.span_counts import SpanCounter
from daguan.core.types import Sentence, Span
from daguan.text.marginals import Probs, mean
from daguan.text.tags import TagScheme

MOST_BIAS = 1.5  # nats, of a type
Kept = NDArray[np.bool_]  # (lines,): those to learn from


@dataclass(frozen=True)
class OutOfFold:
    """N lines with gold, the fold that held each out, and of each of M members one (T,K) array a line."""

    gold: Sequence[Sentence]
    fold_of_line: NDArray[np.int64]
    answers: Sequence[Sequence[Probs]]
    scheme: TagScheme
    seed: int

    @cached_property
    def counter(self) -> SpanCounter:
        """Of the members, shared by all that learn weights: what one has counted none counts again."""
        return SpanCounter(self.gold, self.answers, self.scheme)

    @cached_property
    def mean(self) -> list[Probs]:
        """The members' plain mean, one (T,K) array a line."""
        return mean(self.answers)

    @cached_property
    def counter_of_mean(self) -> SpanCounter:
        """Of the plain mean, for biases up to MOST_BIAS either way."""
        return SpanCounter(self.gold, [self.mean], self.scheme, 2 * MOST_BIAS)


class Combination(Protocol):
    """A fitted way to make one answer of several. It survives JSON."""

    def spans(self, sentences: Sequence[Sentence], answers: Sequence[Sequence[Probs]]) -> list[tuple[Span, ...]]:
        """Of each sentence, whose gold is not read; `answers` are of each member one (T,K) array a sentence."""

    def to_json(self) -> dict[str, Any]: ...
