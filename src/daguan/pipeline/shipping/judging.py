"""The judge of an exported student: it chooses among the spans that its model or an n-gram CRF proposes.

An exported model holds this code, which needs numpy alone. T tokens of a line, K tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.marginals import to_half_precision
from daguan.data.ngram_model import NgramModel
from daguan.ensemble.stacking import Stack


class Judge:
    """A judge of spans. It keeps no state between calls."""

    def __init__(self, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """about: `stack`, as its JSON; `labels`, the user's for its own; and `tokens`, of which a line holds the
        numbers. arrays: the n-gram CRF's, empty without one."""
        self._stack = Stack.from_json(about["stack"], lambda: None)
        self._labels = dict(zip(self._stack.labels, about["labels"], strict=True))
        self._tokens: list[str] = about["tokens"]
        self._crf = NgramModel.of(arrays) if arrays else None

    def spans(self, lines: Sequence[Sequence[int]], marginals: Sequence[NDArray[np.float16]]) -> list[tuple[Span, ...]]:
        """Return the entities of each line of numbers of tokens, by the model's marginals (T,K); none of an empty
        line."""
        sentences = [Sentence(tuple(self._tokens[number] for number in line)) for line in lines if line]
        answers = [[probs for probs, line in zip(marginals, lines, strict=True) if line]]
        if self._crf:
            answers.append(to_half_precision(self._crf.marginals([sentence.tokens for sentence in sentences])))
        found = iter(self._stack.spans(sentences, answers) if sentences else ())
        return [tuple(map(self._named, next(found))) if line else () for line in lines]

    def _named(self, span: Span) -> Span:
        """Return a span with the user's label."""
        return Span(span.start, span.stop, self._labels[span.label], span.probability)
