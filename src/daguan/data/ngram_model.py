"""An n-gram CRF that labels lines, as plain arrays. An exported model holds this code.

N tokens of all lines, F features of a token, K tags, S weights of features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.data.chain import Chain, Floats, forward_backward
from daguan.data.feature_hashes import Ints, Numbers
from daguan.data.hash_table import HashTable
from daguan.data.ngram_features import features
from daguan.data.text_features import TextFeatures

CHUNK_LINES = 256  # labelled at once
OF_TEXT = "text."  # before the names of the text's arrays


@dataclass(frozen=True)
class NgramModel:
    """The weights of an n-gram CRF, by the hashes of features, so that many lines are labelled at once.

    Attributes:
        features: (S,) hashes, ascending, at least one; a feature has weights for some of the tags.
        tags: (S,) the tag of each weight.
        weights: (S,).
        transitions: (K,K) scores from row to column.
        seen: (K,) whether a tag occurred in training.
        text: the features of unlabelled text that it reads, None for none.
    """

    features: Numbers
    tags: Ints
    weights: NDArray[np.float32]
    transitions: NDArray[np.float32]
    seen: NDArray[np.bool_]
    text: TextFeatures | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> NgramModel:
        """Returns the model of what `arrays` gave."""
        text = {name.removeprefix(OF_TEXT): array for name, array in arrays.items() if name.startswith(OF_TEXT)}
        own = {name: array for name, array in arrays.items() if not name.startswith(OF_TEXT)}
        return cls(**own, text=TextFeatures(**text) if text else None)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns all arrays by name, those of the text included."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        text: TextFeatures | None = found.pop("text")
        if text is not None:
            found |= {OF_TEXT + one.name: getattr(text, one.name) for one in fields(text)}
        return found

    def marginals(self, lines: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """Returns P(tag) (T,K) of each line; a tag never seen in training has probability 0."""
        factors = np.exp(self.transitions.astype(np.float64))
        found: list[NDArray[np.float32]] = []
        for low in range(0, len(lines), CHUNK_LINES):
            rows, lengths = features(lines[low : low + CHUNK_LINES], self.text)
            probs = tag_marginals(self._scores(rows), lengths, factors)
            found += np.split(probs.astype(np.float32), np.cumsum(lengths)[:-1])
        return found

    @cached_property
    def _table(self) -> tuple[HashTable, Ints, Ints]:
        """The distinct features, where the weights of each begin, and how many it has."""
        known, starts = np.unique(self.features, return_index=True)
        return HashTable.of(known), starts, np.diff(starts, append=len(self.features))

    def _scores(self, rows: Numbers) -> Floats:
        """Returns (N,K) the scores of features (N,F), −∞ for unseen tags."""
        table, starts, counts_of = self._table
        found, places = table.find(rows.ravel())
        size, counts = len(self.seen), counts_of[places]
        ends = np.cumsum(counts)
        used = np.repeat(starts[places] - (ends - counts), counts)  # each weight of each feature that is there
        used += np.arange(len(used))
        cells = np.repeat(found // rows.shape[1] * size, counts)
        cells += self.tags[used]
        scores = np.bincount(cells, self.weights[used], len(rows) * size).astype(np.float64).reshape(-1, size)
        scores[:, ~self.seen] = -np.inf
        return scores


def tag_marginals(scores: Floats, lengths: Ints, factors: Floats) -> Floats:
    """Returns P(tag) (N,K) of the tokens of all lines.

    scores (N,K), lengths (lines,), factors (K,K) exp of the transitions' scores.
    """
    chain = Chain.of(lengths)
    probs, _, _ = forward_backward(np.exp(scores - scores.max(1, keepdims=True))[chain.order], factors, chain)
    found = np.empty_like(probs)
    found[chain.order] = probs
    return found
