"""Defines the data that a blend is fitted to, and the protocols of its learner and of the fitted result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.marginals import LineMarginals
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.ensemble.blend_settings import BlendSettings

MemberMarginals = Sequence[Sequence[LineMarginals]]  # from each of M members, one (T,K) array a line
LineMask = NDArray[np.bool_]  # (N,) the lines that may be learnt from; whole folds
LoadText = Callable[[], TextIndex | None]


@dataclass(frozen=True)
class OutOfFoldData:
    """The labelled lines that a blend is fitted to.

    Attributes:
        gold: N annotated lines.
        fold_of_line: (N,) the fold that held each line out.
        marginals: from each member, for each line by the model that had not seen it.
        scheme: the tags.
        seed: for random choices.
        text: an index of all text without labels, None if there is none.
        settings: of the blend.
        decoded: what each member decodes, `span_candidates.decoded_by`, where it is known already.
    """

    gold: Sequence[Sentence]
    fold_of_line: NDArray[np.int64]
    marginals: MemberMarginals
    scheme: TagScheme
    seed: int
    text: TextIndex | None = None
    settings: BlendSettings = field(default_factory=BlendSettings)
    decoded: Sequence[Sequence[NDArray[np.int64]]] | None = None


class ConfidentSpans(NamedTuple):
    """The spans of N lines.

    Attributes:
        spans: of each line.
        confidences: (N,) the probability of the least certain decision on each line.
    """

    spans: list[tuple[Span, ...]]
    confidences: NDArray[np.float64]


class Combination(Protocol):
    """A fitted way to combine members' marginals into spans with these labels; it survives JSON."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[tuple[Span, ...]]:
        """Returns the spans of each sentence with their probabilities; its gold is not read."""

    def adapted_to(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> Combination:
        """Returns the combination with what depends on the lines to label fixed for these; their gold is not read."""

    def confident_spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> ConfidentSpans:
        """Returns the same spans with confidences; each combination says what it counts as a decision."""

    def candidates(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[dict[Span, float]]:
        """Returns the probabilities of the spans of each sentence that may be right, chosen ones and their rivals."""

    def to_json(self) -> dict[str, Any]: ...


class Learner(Protocol):
    """Fits a combination to part of the lines.

    It is made from all lines, so that everything independent of gold is computed once; `fit` reads only the gold of the
    `used` lines.
    """

    def fit(self, used: LineMask) -> Combination: ...

    def held_out(self, combination: Any, data: OutOfFoldData, lines: Sequence[int]) -> list[tuple[Span, ...]]:
        """Returns what `combination`, which was fitted without these lines of `data`, says of them. A learner that has
        described them already may say so without reading their marginals again."""
        marginals = [[member[line] for line in lines] for member in data.marginals]
        found: list[tuple[Span, ...]] = combination.spans([data.gold[line] for line in lines], marginals)
        return found


def min_confidence(probabilities: Mapping[Span, float], taken: Collection[Span]) -> float:
    """Returns the lowest probability of a decision on a line: p for a taken span, 1 − p for another.

    Returns 1 where there is nothing to decide.
    """
    return min((p if span in taken else 1 - p for span, p in probabilities.items()), default=1.0)


class Method(NamedTuple):
    """A way to blend.

    Attributes:
        learner: makes its learner from the members' out-of-fold answers.
        read: makes the fitted combination from its JSON, with a function that loads the index of all text.
    """

    learner: Callable[[OutOfFoldData], Learner]
    read: Callable[[dict[str, Any], LoadText], Combination]
