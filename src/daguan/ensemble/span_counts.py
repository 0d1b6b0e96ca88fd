"""Counts the correct spans of a weighted mean of members, fast enough for a search over weights.

N lines, M members, K tags. Where all members rank the same tag first, so does any weighted mean of them: only the other
tokens, a few in a hundred, are evaluated again. The top tags are also the constrained decoding wherever they form a
legal sequence; only the other lines are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence
from daguan.data.decoding import decode_tags, illegal_lines, log_probs
from daguan.data.marginals import LineMarginals
from daguan.data.tags import B, S, TagScheme

Weights = tuple[float, ...]  # (M,) at least 0, not all 0; of any sum
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class _TokenLayout(NamedTuple):
    """The lines, concatenated.

    Attributes:
        offsets: (N+1,) where the tokens of each line begin.
        gold: (tokens,) gold tags.
        starts, stops: of the gold spans among all tokens.
        line_of_span: the line of each gold span.
    """

    offsets: Ints
    gold: Ints
    starts: Ints
    stops: Ints
    line_of_span: Ints

    @classmethod
    def of(cls, sentences: Sequence[Sentence], scheme: TagScheme) -> _TokenLayout:
        offsets = np.cumsum([0, *(len(sentence.tokens) for sentence in sentences)])
        gold = [scheme.encode(len(sentence.tokens), sentence.gold) for sentence in sentences]
        spans = [(low + span.start, low + span.stop, line)
                 for line, (low, sentence) in enumerate(zip(offsets[:-1].tolist(), sentences, strict=True))
                 for span in sentence.gold]  # fmt: skip
        starts, stops, line_of_span = np.array(spans, np.int64).reshape(-1, 3).T
        return cls(offsets, np.concatenate([np.zeros(0, np.int64), *gold]), starts, stops, line_of_span)

    def counts(self, tags: Ints, opens: NDArray[np.bool_]) -> Ints:
        """Returns (N,2): hits, and predicted + gold, of legal tags (tokens,).

        `opens` (K,) says whether a tag starts a span. A gold span is a hit where all its tags are right.
        """
        wrong = np.concatenate([[0], np.cumsum(tags != self.gold)])
        size = len(self.offsets) - 1
        hits = np.bincount(self.line_of_span[wrong[self.starts] == wrong[self.stops]], minlength=size)
        begun = np.concatenate([[0], np.cumsum(opens[tags])])
        predicted = begun[self.offsets[1:]] - begun[self.offsets[:-1]]
        return np.stack([hits, predicted + np.bincount(self.line_of_span, minlength=size)], 1)


class SpanCounter:
    """Counts for weighted means of the same marginals.

    `slack` (nats): biases may differ by less than this.
    """

    def __init__(
        self,
        gold: Sequence[Sentence],
        marginals: Sequence[Sequence[LineMarginals]],
        scheme: TagScheme,
        slack: float = 0.0,
    ) -> None:
        self._scheme = scheme
        self._opens = np.zeros(len(scheme), bool)
        self._opens[[1 + 4 * label + prefix for label in range(len(scheme.labels)) for prefix in (B, S)]] = True
        whole = _TokenLayout.of(gold, scheme)
        tags, open_tokens = _top_tags(marginals, slack)
        illegal = illegal_lines(tags, np.diff(whole.offsets), scheme)
        is_open = illegal | _any(open_tokens, whole.offsets)
        self._lines = np.flatnonzero(is_open)
        self._fixed = whole.counts(tags, self._opens) * ~is_open[:, None]
        self._layout = _TokenLayout.of([gold[line] for line in self._lines.tolist()], scheme)
        in_open_line = np.repeat(is_open, np.diff(whole.offsets))
        self._tags, self._open = tags[in_open_line], np.flatnonzero(open_tokens[in_open_line])
        self._marginals = [_rows([member[line] for line in self._lines.tolist()], len(scheme)) for member in marginals]
        self._at_open = np.stack([member[self._open] for member in self._marginals])  # (M,open,K)
        self._known: dict[tuple[Weights, Weights], NDArray[np.uint32]] = {}

    def f1(self, times: NDArray[np.float64], weights: Weights, bias: Weights = ()) -> float:
        """Returns span F1 of the weighted mean, decoded with `bias` (K,); line n counts times[n] times."""
        hits, total = times @ self._fixed + times[self._lines] @ self._counts_of_open(weights, bias)
        return float(2 * hits / total) if total else 0.0

    def counts(self, weights: Weights, bias: Weights = ()) -> Ints:
        """Returns (N,2): hits, and predicted + gold."""
        counts = self._fixed.copy()
        counts[self._lines] = self._counts_of_open(weights, bias)
        return counts

    def _counts_of_open(self, weights: Weights, bias: Weights) -> NDArray[np.uint32]:
        key = (weights, bias)
        if key not in self._known:
            self._known[key] = self._layout.counts(self._decode(weights, bias), self._opens).astype(np.uint32)
        return self._known[key]

    def _decode(self, weights: Weights, bias: Weights) -> Ints:
        """Returns (tokens,) the tags of the lines that are not fixed."""
        share = np.array(weights, np.float32) / np.float32(sum(weights))
        used, added = np.flatnonzero(share), np.array(bias, np.float32) if bias else None
        mean = np.tensordot(share[used], self._at_open[used], 1)
        tags = self._tags.copy()
        tags[self._open] = (mean if added is None else log_probs(mean, added)).argmax(1)
        offsets = self._layout.offsets
        lengths = np.diff(offsets)
        illegal = illegal_lines(tags, lengths, self._scheme)
        rows = np.flatnonzero(np.repeat(illegal, lengths))
        if len(rows):
            total = np.zeros((len(rows), len(self._scheme)), np.float32)
            for member in used:  # one by one: a table of all would not fit into a cache
                total += share[member] * self._marginals[member].take(rows, 0)
            whole = np.split(total, np.cumsum(lengths[illegal])[:-1])
            tags[rows] = np.concatenate(decode_tags(whole, self._scheme, added))
        return tags


def _rows(arrays: Sequence[LineMarginals], size: int) -> Floats:
    """Returns all arrays (T,size) stacked, in single precision, which is several times as fast."""
    return np.concatenate([np.zeros((0, size), np.float16), *arrays]).astype(np.float32)


def _top_tags(marginals: Sequence[Sequence[LineMarginals]], slack: float) -> tuple[Ints, NDArray[np.bool_]]:
    """Returns (tokens,) the first member's top tag, and whether a mean of members may rank another one first."""
    top_tags, is_open = np.zeros(0, np.int64), np.zeros(0, bool)
    for number, member in enumerate(marginals):
        logs = log_probs(np.concatenate(list(member)))
        tags = logs.argmax(1)
        if number == 0:
            top_tags, is_open = tags, np.zeros(len(tags), bool)
        top = np.take_along_axis(logs, tags[:, None], 1)
        np.put_along_axis(logs, tags[:, None], -np.inf, 1)
        is_open |= (tags != top_tags) | (top[:, 0] - logs.max(1) <= slack)
    return top_tags, is_open


def _any(marks: NDArray[np.bool_], offsets: Ints) -> NDArray[np.bool_]:
    """Returns (N,) whether the line has a mark."""
    total = np.concatenate([[0], np.cumsum(marks)])
    found: NDArray[np.bool_] = total[offsets[1:]] > total[offsets[:-1]]
    return found
