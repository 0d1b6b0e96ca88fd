"""How many spans a blend of members gets right, counted fast enough for a search over blends.

N lines, M members, K tags. Where all members have the same tag first, so has any mean of them, by any weights: only
the other tokens, a few in a hundred, are looked at again for each blend. The tags that come first at each token are the
constrained decode where they make a legal sequence, as nothing then constrains it; only the other lines are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence
from daguan.data.marginals import LineMarginals
from daguan.data.tags import OUTSIDE, B, S, TagScheme
from daguan.training.prediction import decode_tags, log_probs

Weights = tuple[float, ...]  # (M,): at least 0, one above it; their sum does not matter
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class _Layout(NamedTuple):
    """Lines one after another: offsets (N+1,) of their tokens. Gold tags (tokens,), and of the gold spans where they
    start and stop among all tokens, and their line."""

    offsets: Ints
    gold: Ints
    starts: Ints
    stops: Ints
    line_of_span: Ints

    @classmethod
    def of(cls, sentences: Sequence[Sentence], scheme: TagScheme) -> _Layout:
        offsets = np.cumsum([0, *(len(sentence.tokens) for sentence in sentences)])
        gold = [scheme.encode(len(sentence.tokens), sentence.gold) for sentence in sentences]
        spans = [(low + span.start, low + span.stop, line)
                 for line, (low, sentence) in enumerate(zip(offsets[:-1].tolist(), sentences, strict=True))
                 for span in sentence.gold]  # fmt: skip
        starts, stops, line_of_span = np.array(spans, np.int64).reshape(-1, 3).T
        return cls(offsets, np.concatenate([np.zeros(0, np.int64), *gold]), starts, stops, line_of_span)

    def counts(self, tags: Ints, opens: NDArray[np.bool_]) -> Ints:
        """(N,2): hits, and predicted and gold together. tags (tokens,), legal in each line; opens (K,): does a span
        start there? A gold span is hit where all its tags are."""
        wrong = np.concatenate([[0], np.cumsum(tags != self.gold)])
        size = len(self.offsets) - 1
        hits = np.bincount(self.line_of_span[wrong[self.starts] == wrong[self.stops]], minlength=size)
        begun = np.concatenate([[0], np.cumsum(opens[tags])])
        predicted = begun[self.offsets[1:]] - begun[self.offsets[:-1]]
        return np.stack([hits, predicted + np.bincount(self.line_of_span, minlength=size)], 1)


class SpanCounter:
    """Counts for blends of the same answers. `slack` (nats): biases that differ by less can be counted, too."""

    def __init__(
        self,
        gold: Sequence[Sentence],
        answers: Sequence[Sequence[LineMarginals]],
        scheme: TagScheme,
        slack: float = 0.0,
    ) -> None:
        self._scheme = scheme
        self._opens = np.zeros(len(scheme), bool)
        self._opens[[1 + 4 * label + prefix for label in range(len(scheme.labels)) for prefix in (B, S)]] = True
        whole = _Layout.of(gold, scheme)
        tags, open_tokens = _firsts(answers, slack)
        illegal = _illegal(tags, whole.offsets, scheme)
        is_open = illegal | _any(open_tokens, whole.offsets)
        self._lines = np.flatnonzero(is_open)
        self._fixed = whole.counts(tags, self._opens) * ~is_open[:, None]
        self._layout = _Layout.of([gold[line] for line in self._lines.tolist()], scheme)
        kept = np.repeat(is_open, np.diff(whole.offsets))
        self._tags, self._open = tags[kept], np.flatnonzero(open_tokens[kept])
        self._answers = [_rows([member[line] for line in self._lines.tolist()], len(scheme)) for member in answers]
        self._at_open = np.stack([member[self._open] for member in self._answers])  # (M,open,K)
        self._known: dict[tuple[Weights, Weights], NDArray[np.uint16]] = {}

    def f1(self, times: NDArray[np.float64], weights: Weights, bias: Weights = ()) -> float:
        """Span F1 of the weighted mean decoded with that bias (K,), each line counted so many `times` (N,)."""
        hits, total = times @ self._fixed + times[self._lines] @ self._counts_of_open(weights, bias)
        return float(2 * hits / total) if total else 0.0

    def counts(self, weights: Weights, bias: Weights = ()) -> Ints:
        """(N,2): hits, and predicted and gold together."""
        counts = self._fixed.copy()
        counts[self._lines] = self._counts_of_open(weights, bias)
        return counts

    def _counts_of_open(self, weights: Weights, bias: Weights) -> NDArray[np.uint16]:
        key = (weights, bias)
        if key not in self._known:
            self._known[key] = self._layout.counts(self._decode(weights, bias), self._opens).astype(np.uint16)
        return self._known[key]

    def _decode(self, weights: Weights, bias: Weights) -> Ints:
        """(tokens,) of the lines that are not fixed."""
        share = np.array(weights, np.float32) / np.float32(sum(weights))
        used, added = np.flatnonzero(share), np.array(bias, np.float32) if bias else None
        mean = np.tensordot(share[used], self._at_open[used], 1)
        tags = self._tags.copy()
        tags[self._open] = (mean if added is None else log_probs(mean, added)).argmax(1)
        offsets = self._layout.offsets
        illegal, lengths = _illegal(tags, offsets, self._scheme), np.diff(offsets)
        rows = np.flatnonzero(np.repeat(illegal, lengths))
        if len(rows):
            total = np.zeros((len(rows), len(self._scheme)), np.float32)
            for member in used:  # as a table of them all would not fit into a cache
                total += share[member] * self._answers[member].take(rows, 0)
            whole = np.split(total, np.cumsum(lengths[illegal])[:-1])
            tags[rows] = np.concatenate(decode_tags(whole, self._scheme, added))
        return tags


def _rows(arrays: Sequence[LineMarginals], size: int) -> Floats:
    """All arrays (T,size) one below the other, in single precision, which is several times as fast."""
    return np.concatenate([np.zeros((0, size), np.float16), *arrays]).astype(np.float32)


def _firsts(answers: Sequence[Sequence[LineMarginals]], slack: float) -> tuple[Ints, NDArray[np.bool_]]:
    """(tokens,) the first member's first tag at each token, and whether a mean of members may have another first."""
    firsts, is_open = np.zeros(0, np.int64), np.zeros(0, bool)
    for number, member in enumerate(answers):
        logs = log_probs(np.concatenate(list(member)))
        tags = logs.argmax(1)
        if number == 0:
            firsts, is_open = tags, np.zeros(len(tags), bool)
        top = np.take_along_axis(logs, tags[:, None], 1)
        np.put_along_axis(logs, tags[:, None], -np.inf, 1)
        is_open |= (tags != firsts) | (top[:, 0] - logs.max(1) <= slack)
    return firsts, is_open


def _illegal(tags: Ints, offsets: Ints, scheme: TagScheme) -> NDArray[np.bool_]:
    """(N,): is the sequence of tags of the line one that the scheme forbids?"""
    lines = len(offsets) - 1
    steps = np.insert(tags, offsets, OUTSIDE)  # one before each line and one after the last: outside
    bad = ~scheme.allowed[steps[:-1], steps[1:]]
    return _any(bad, offsets + np.arange(lines + 1))


def _any(marks: NDArray[np.bool_], offsets: Ints) -> NDArray[np.bool_]:
    """(N,): is there a mark in the line?"""
    total = np.concatenate([[0], np.cumsum(marks)])
    found: NDArray[np.bool_] = total[offsets[1:]] > total[offsets[:-1]]
    return found
