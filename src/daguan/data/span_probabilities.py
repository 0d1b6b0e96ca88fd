"""Computes the probabilities of entities from marginals of tags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Span
from daguan.data.tags import B, E, I, S, TagScheme


def with_probabilities(
    spans: Sequence[tuple[Span, ...]], marginals: Sequence[NDArray[np.floating]], scheme: TagScheme
) -> list[tuple[Span, ...]]:
    """Returns the spans of each line with their probabilities under its marginals (T,K)."""
    return [
        tuple(Span(span.start, span.stop, span.label, span_probability(probs, span, scheme)) for span in of_line)
        for of_line, probs in zip(spans, marginals, strict=True)
    ]


def span_probability(probs: NDArray[np.floating], span: Span, scheme: TagScheme) -> float:
    """Returns P(span) of marginals (T,K): P(begin) times, for each further token, P(inside or end | entity is open).

    It is exact for one token. For longer spans it assumes that the end of an entity does not depend on where it began.
    The probabilities of all spans that begin at one token add up to P(begin), as they should.
    """
    base = scheme.first_tag(span.label)
    if span.stop - span.start == 1:
        return float(probs[span.start, base + S])
    inside, end = probs[span.start + 1 : span.stop, [base + I, base + E]].astype(np.float64).T
    taken = np.append(inside[:-1], end[-1])
    open_before = inside + end  # the mass of entities of this type that are open before the token
    shares = np.divide(taken, open_before, out=np.zeros_like(taken), where=open_before > 0)
    return float(probs[span.start, base + B] * shares.prod())
