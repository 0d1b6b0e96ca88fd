"""Cuts lines longer than the model's window into overlapping parts, and stitches the results together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens [start, stop) of a line; its result is used for [keep_start, keep_stop)."""

    line: int
    start: int
    stop: int
    keep_start: int
    keep_stop: int


class Lengths:
    """Measures stretches of a line as a window does: in tokens, or in pieces where a token has several.

    costs: the length of each token, at least 1.
    """

    def __init__(self, costs: Sequence[int]) -> None:
        self._sums = np.concatenate([[0], np.cumsum(costs, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._sums) - 1

    def between(self, start: int, stop: int) -> int:
        return int(self._sums[stop] - self._sums[start])

    def stop_after(self, start: int, size: int) -> int:
        """Returns the end of the longest stretch from `start` that is at most `size` long; it has a token at least."""
        stop = int(np.searchsorted(self._sums, self._sums[start] + size, side="right")) - 1
        return min(max(stop, start + 1), len(self))

    def start_before(self, stop: int, size: int) -> int:
        """Returns the start of the longest stretch up to `stop` that is at most `size` long."""
        return int(np.searchsorted(self._sums, self._sums[stop] - size, side="left"))

    def next_start(self, stop: int, size: int, overlap: int) -> int:
        """Returns the start of a stretch that shares `overlap` with one up to `stop`, or less to hold a token more."""
        return max(self.start_before(stop, overlap), self.start_before(stop + 1, size))


def windows_of(line: int, costs: Sequence[int], size: int, overlap: int) -> list[Window]:
    """Covers a line of tokens of these lengths with windows that are at most `size` long; neighbours share `overlap`,
    or less where a token is longer.

    Each token is taken from the window in which it is farther from a cut: both share the overlap equally.
    """
    assert 0 <= overlap < size
    lengths = Lengths(costs)
    starts, stops = [0], [lengths.stop_after(0, size)]
    while stops[-1] < len(lengths):
        start = lengths.next_start(stops[-1], size, overlap)
        if lengths.between(start, len(lengths)) <= size:
            start = lengths.start_before(len(lengths), size)
        starts.append(start)
        stops.append(lengths.stop_after(start, size))
    cuts = [0] + [(starts[i + 1] + stops[i]) // 2 for i in range(len(starts) - 1)] + [len(lengths)]
    return [Window(line, *edges) for edges in zip(starts, stops, cuts[:-1], cuts[1:], strict=True)]


def stitch(windows: Sequence[Window], results: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Returns (T,K) for one line from the arrays (stop−start,K) of its windows, in order."""
    parts = [
        result[window.keep_start - window.start : window.keep_stop - window.start]
        for window, result in zip(windows, results, strict=True)
    ]
    return np.concatenate(parts)


def training_parts(sentence: Sentence, costs: Sequence[int], size: int, overlap: int) -> tuple[list[Sentence], int]:
    """Returns training parts that are at most `size` long, cut outside entities, and the number of lost entities.

    costs: the length of each token. Neighbours overlap by `overlap` where no entity and no longer token is in the way.
    Only entities longer than `size` are lost: no part holds their tokens. Every other entity is whole in some part.
    """
    lengths = Lengths(costs)
    held = [span for span in sentence.gold if lengths.between(span.start, span.stop) <= size]
    lost = [span for span in sentence.gold if lengths.between(span.start, span.stop) > size]
    parts: list[Sentence] = []
    for low, high in _stretches_without(lost, len(lengths)):
        start = low
        while start < high:
            stop = _outside(held, min(lengths.stop_after(start, size), high), high)
            parts.append(sentence.part(start, stop))
            if stop == high:
                break
            following = _outside(held, max(low, lengths.next_start(stop, size, overlap)), high)
            start = following if following > start else stop
    return parts, len(lost)


def _stretches_without(lost: Sequence[Span], length: int) -> list[tuple[int, int]]:
    edges = [0, *(edge for span in lost for edge in (span.start, span.stop)), length]
    return [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]


def _outside(spans: Sequence[Span], position: int, high: int) -> int:
    """Returns the last cut at or before `position` that splits no entity."""
    if position == high:
        return position
    return next((span.start for span in spans if span.start < position < span.stop), position)
