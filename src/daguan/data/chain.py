"""Probabilities of tags in linear chains of many lines at once. N tokens of all lines, K tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from daguan.data.feature_hashes import Ints

Floats = NDArray[np.float64]
R = TypeVar("R", np.float32, np.float64)


@dataclass(frozen=True)
class Chain:
    """Tokens of many lines, arranged so that all lines advance together: the first tokens of all lines, longest first,
    then the second tokens of those that have one, and so on.

    Attributes:
        order: (N,) the place of each token among those of all lines, one line after the other.
        steps: where the tokens of each step begin and end.
    """

    order: Ints
    steps: list[slice]

    @classmethod
    def of(cls, lengths: Ints) -> Chain:
        longest_first = np.argsort(-lengths, kind="stable")
        starts = (np.cumsum(lengths) - lengths)[longest_first]
        descending = lengths[longest_first]
        counts = [int((descending > step).sum()) for step in range(int(lengths.max(initial=0)))]
        ends = np.cumsum(counts, dtype=np.int64)
        order = [starts[:count] + step for step, count in enumerate(counts)]
        steps = [slice(int(end) - count, int(end)) for end, count in zip(ends, counts, strict=True)]
        return cls(np.concatenate([*order, np.zeros(0, np.int64)]), steps)

    def pairs(self) -> Iterator[tuple[slice, slice]]:
        """Yields, for each step but the first, the same lines' tokens of the step before, and its own."""
        for last, now in pairwise(self.steps):
            yield slice(last.start, last.start + now.stop - now.start), now


def forward_backward(own: NDArray[R], factors: NDArray[R], chain: Chain) -> tuple[NDArray[R], Floats, NDArray[R]]:
    """Returns P(tag) (N,K), the expected number of each transition (K,K), and (N,) factors of the sum over all tags.

    The algorithm is that of Rabiner 1989, with rescaling. The product of a line's factors is the sum over all tags of
    the product of its entries of `own` and `factors`.

    Args:
        own: (N,K) exp of the states' scores, in the chain's order; it becomes P(tag).
        factors: (K,K) exp of the transitions' scores, from row to column.
    """
    scale = np.ones((len(own), 1), own.dtype)
    ones, turned = np.ones((own.shape[1], 1), own.dtype), factors.T.copy()
    follows = own.copy()
    for at in chain.steps[:1]:
        np.matmul(own[at], ones, out=scale[at])
        own[at] /= scale[at]
    for last, now in chain.pairs():
        own[now] *= own[last] @ factors
        np.matmul(own[now], ones, out=scale[now])
        own[now] /= scale[now]
    before, expected = own, np.zeros(factors.shape)  # of each token, P(tag, given the text up to it)
    follows /= scale
    for last, now in reversed([*chain.pairs()]):
        expected += before[last].T @ follows[now]
        after = follows[now] @ turned
        before[last] *= after
        follows[last] *= after
    return before, expected * factors, scale[:, 0]
